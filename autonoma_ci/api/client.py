"""Client of the Autonoma API with one method for each endpoint.

Source: the vendor's published OpenAPI description, which is the contract, and its public API pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from autonoma_ci.api import responses
from autonoma_ci.api.models import HINT_MAY_HAVE_STARTED, PollResult, PollStatus, RunDetails, StartResult, StartStatus
from autonoma_ci.api.start_body import build_start_body
from autonoma_ci.api.transport import MAX_DETAILS_BYTES
from autonoma_ci.models import ExitReason, RunRequest, TargetKind
from autonoma_ci.net.errors import RequestNotSentError, ResponseLostError
from autonoma_ci.redaction.redactor import Redactor, build_credential_redactors
from autonoma_ci.redaction.sanitizer import ResponseSanitizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.api.transport import Transport
    from autonoma_ci.redaction.redactor import Secret

# A redactor is built for each response with text. With more texts of the environment than this, it gets only
# those in the run's values.
_MAX_UNFILTERED_TEXTS = 50


class AutonomaClient:
    """Starts runs and requests their status, details and names.

    Its methods return failures of a server or a network as results. They never raise them.

    Args:
        transport: Sends the requests.
        source: Value of the API's `source` field.
        secrets: Credentials. They are removed from all texts, and an id or a link with one is withheld.
        values: Values of the variables of all runs. They are removed from the texts of every run. With None, only
            `environment_texts` and the values of a run's own request are removed.
        environment_texts: Secret texts that values contain. If there are many, only those in a run's own values are
            removed from its texts.
        public_values: Values that may be shown, such as facts of the build.
    """

    def __init__(
        self,
        transport: Transport,
        source: str,
        secrets: Sequence[Secret],
        values: Sequence[Secret] | None = None,
        environment_texts: Sequence[Secret] = (),
        public_values: frozenset[str] = frozenset(),
    ) -> None:
        self._transport = transport
        self._source = source
        self._secrets, self._environment_texts = tuple(secrets), tuple(environment_texts)
        self._public_values = public_values
        self._credentials = build_credential_redactors(self._secrets).of_all
        self._shared_redactor = None if values is None else Redactor([*secrets, *values])
        # Every link contains it, so it is not a secret.
        self._api_host = urlsplit(transport.base_url).netloc

    def start(self, request: RunRequest) -> StartResult:
        """Send one request that starts a run."""
        try:
            response = self._transport.post(
                f"/{request.kind}/{request.id}/run", build_start_body(request, self._source)
            )
        except RequestNotSentError as error:
            status = StartStatus.NOT_SENT if error.retryable else StartStatus.CANNOT_SEND
            hint = (
                f"{responses.HINT_NOT_STARTED} {self._clean(error.hint, request)}"
                if error.hint
                else responses.HINT_UNREACHABLE
            )
            return StartResult(status, ExitReason.API, message=self._format_error(error, request), suggestion=hint)
        except ResponseLostError as error:
            message = self._format_error(error, request)
            return StartResult(
                StartStatus.INDETERMINATE,
                ExitReason.UNKNOWN,
                message=message,
                suggestion=HINT_MAY_HAVE_STARTED,
            )
        return responses.parse_start_response(
            response, request, self._get_redactor(request), self._credentials, self._api_host
        )

    def poll_status(self, request: RunRequest, run_id: str) -> PollResult:
        """Get the status of a run."""
        path = f"/run/{run_id}/status" if request.kind is TargetKind.TEST else f"/run/{request.kind}/{run_id}/status"
        try:
            response = self._transport.get(path)
        except RequestNotSentError as error:
            hint = self._clean(error.hint, request) if error.hint else ""
            return PollResult(PollStatus.UNAVAILABLE, message=self._format_error(error, request), suggestion=hint)
        except ResponseLostError as error:
            return PollResult(PollStatus.UNAVAILABLE, message=self._format_error(error, request))
        # The redactor is built only if there is text to redact, because few responses have one.
        return responses.parse_status_response(
            response, lambda: self._get_redactor(request), self._credentials, self._api_host, request.kind, run_id
        )

    def fetch_details(self, request: RunRequest, run_id: str, *, media: bool = False) -> RunDetails:
        """Request the details of a test's run once.

        Args:
            request: The run's entry in the plan.
            run_id: The id of the run.
            media: Request the signed URLs of screenshots and video too.
        """
        try:
            response = self._transport.get(
                f"/run/{run_id}?steps=true{'&media=true' if media else ''}", MAX_DETAILS_BYTES
            )
        except (RequestNotSentError, ResponseLostError) as error:
            return RunDetails(error=self._format_error(error, request))
        return responses.parse_details_response(response, lambda: self._get_redactor(request), run_id, request.id)

    def fetch_name(self, kind: TargetKind, request: RunRequest) -> str | None:
        """Return the name of the request's id as one of this kind.

        Returns:
            The name, empty if it has none. None if the account has no such id or the request failed.
        """
        try:
            response = self._transport.get(f"/{kind}/{request.id}", MAX_DETAILS_BYTES)
        except (RequestNotSentError, ResponseLostError):
            return None
        return responses.parse_name(response, request.id, lambda: self._get_redactor(request))

    def _format_error(self, error: RequestNotSentError | ResponseLostError, request: RunRequest) -> str:
        return self._clean(str(error), request)

    def _clean(self, text: str, request: RunRequest) -> str:
        return ResponseSanitizer(lambda: self._get_redactor(request)).clean(text, 500)

    def _get_redactor(self, request: RunRequest) -> Redactor:
        return self._shared_redactor or self._build_run_redactor(request)

    def _build_run_redactor(self, request: RunRequest) -> Redactor:
        values = [value for value in request.variables.values() if value not in self._public_values]
        texts = self._environment_texts
        if len(texts) > _MAX_UNFILTERED_TEXTS:
            texts = tuple(text for text in texts if any(text.reveal() in value for value in values))
        return Redactor([*self._secrets, *texts, *values])
