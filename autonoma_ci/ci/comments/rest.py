"""Comments on one change through a REST API.

Source: GitHub's REST documentation, "Issue comments" and its `since`, its GraphQL documentation, "viewer", and
GitLab's, "Notes API" and its `order_by`; RFC 9110 §6.6.1 for `Date`.
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

from autonoma_ci.ci.comments.sticky import Comment
from autonoma_ci.ci.rest.http import RestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from autonoma_ci.ci.rest.http import RestClient

# 38 of the client's 50 requests can read comments, which leaves 12 to write. GitHub allows at most 2,500 comments on a
# change, which are 25 pages of 100. GitLab allows 5,000, plus system notes: of those, we read the 3,800 changed last.
_MAX_PAGES = 38
# Pages of recently changed comments.
_MAX_RECENT_PAGES = 2


class CommentEndpoints(NamedTuple):
    """The paths, queries and fields of one comment API.

    All paths begin with a slash.
    """

    service: str  # name of the CI system, for errors
    list_path: str  # path of all comments
    comment_path: str  # path of a comment, with a `{}` for its id
    list_query: str  # query for all comments, sorted by last change first if the API can sort
    recent_query: str  # query for the comments changed last, or with a `{}` for those changed since a time
    update_method: str  # HTTP method that replaces the text of a comment
    author_field: str  # field of a comment with its author
    graphql_url: str = ""  # GraphQL API that returns the owner of an App's token, empty if the system has no Apps


class CommentAuthor(NamedTuple):
    """The author of a comment or the owner of a token."""

    user_id: int  # 0 if unknown
    login: str  # empty if unknown

    def is_same(self, other: CommentAuthor) -> bool:
        """Return whether both are the same user.

        The ids decide, because a login can pass to another user. Without both ids, the logins decide.
        """
        if self.user_id and other.user_id:
            return self.user_id == other.user_id
        return bool(self.login) and self.login == other.login


class RestCommentThread:
    """The comments on one change, as a `CommentThread`.

    Args:
        client: The client of the API.
        endpoints: The paths, queries and fields of the API.
        workflow_key: Identifies the workflow.
        build_id: The id of the build.
        max_bytes: The maximum size of a comment.
        find_service_hint: Returns a hint of the service for an error, or None.
    """

    def __init__(
        self,
        client: RestClient,
        endpoints: CommentEndpoints,
        workflow_key: str,
        build_id: str,
        max_bytes: int,
        find_service_hint: Callable[[RestError], str | None],
    ) -> None:
        self._client, self._endpoints, self._find_service_hint = client, endpoints, find_service_hint
        self.workflow_key, self.build_id, self.max_bytes = workflow_key, build_id, max_bytes
        self._token_owner: CommentAuthor | None = None
        # The server's time at the first page, for the next request for changed comments.
        self._listed_at = ""

    def list_own(self) -> list[Comment] | None:
        """Return all comments of the token's owner.

        Returns None while the owner is unknown. The response to `create` may reveal the owner.

        Raises:
            RestError: The request failed.
        """
        self._token_owner, self._listed_at = self._token_owner or self._fetch_owner(), ""
        return self._list_pages(self._endpoints.list_query, _MAX_PAGES) if self._token_owner else None

    def list_changed(self) -> list[Comment]:
        """Return the comments that changed since `list_own`, and perhaps others.

        Raises:
            RestError: The request failed.
        """
        return self._list_pages(self._endpoints.recent_query.format(self._listed_at), _MAX_RECENT_PAGES)

    def _list_pages(self, query: str, max_pages: int) -> list[Comment]:
        comments, path = [], f"{self._endpoints.list_path}?{query}"
        for _ in range(max_pages):
            response = self._client.request("GET", path)
            if not isinstance(response.data, list):
                raise self._unexpected_response()
            self._listed_at = self._listed_at or _format_since(response.server_date)
            comments += [
                comment for item in response.data if self._is_by_owner(item) and (comment := _parse_comment(item))
            ]
            path = response.next_url
            if not path:
                break
        return comments

    def create(self, body: str) -> Comment:
        """Create a comment.

        Raises:
            RestError: The request failed.
        """
        data = self._client.request("POST", self._endpoints.list_path, {"body": body}).data
        created = _parse_comment(data)
        if not created:
            raise self._unexpected_response()
        self._token_owner = self._token_owner or _parse_author_field(data, self._endpoints.author_field)
        return created

    def update(self, comment: Comment, body: str) -> None:
        """Replace the text of a comment.

        Raises:
            RestError: The request failed.
        """
        self._client.request(
            self._endpoints.update_method, self._endpoints.comment_path.format(comment.id), {"body": body}
        )

    def delete(self, comment: Comment) -> None:
        """Delete a comment.

        Raises:
            RestError: The request failed.
        """
        self._client.request("DELETE", self._endpoints.comment_path.format(comment.id))

    def find_hint(self, error: RestError) -> str | None:
        """Return a hint for an error, or None."""
        return error.hint or self._find_service_hint(error)

    def _fetch_owner(self) -> CommentAuthor | None:
        """Return the owner of the token, or None if unknown.

        Raises:
            RestError: The API rejected the request, or gave an unexpected response.
        """
        try:
            owner = _parse_author(self._client.request("GET", "/user").data)
        except RestError as error:
            if not self._endpoints.graphql_url or error.status not in {403, 404} or error.is_rate_limit:
                raise
            # The token of a job or of an App's installation has no user in REST. GraphQL returns its owner.
            return self._fetch_graphql_owner()
        if not owner:
            raise self._unexpected_response()
        return owner

    def _fetch_graphql_owner(self) -> CommentAuthor | None:
        query = {"query": "query { viewer { login databaseId } }"}
        try:
            data = self._client.query_graphql(self._endpoints.graphql_url, query).data
        except RestError as error:
            if not error.status:
                raise
            return None
        for name in ("data", "viewer"):
            data = data.get(name) if isinstance(data, dict) else None
        return _parse_author({**data, "id": data.get("databaseId")}) if isinstance(data, dict) else None

    def _is_by_owner(self, data: object) -> bool:
        """Return whether the owner of the token wrote a comment.

        Other authors can copy a mark, and their text must not appear as ours.
        """
        author = _parse_author_field(data, self._endpoints.author_field)
        return bool(author and self._token_owner and author.is_same(self._token_owner))

    def _unexpected_response(self) -> RestError:
        return RestError(f"unexpected response from {self._endpoints.service}")


def _parse_author_field(data: object, field: str) -> CommentAuthor | None:
    return _parse_author(data.get(field)) if isinstance(data, dict) else None


def _parse_author(user: object) -> CommentAuthor | None:
    """Parse a user of GitHub or GitLab, or return None."""
    if not isinstance(user, dict):
        return None
    user_id, login = user.get("id"), user.get("login")
    user_id = user_id if isinstance(user_id, int) and not isinstance(user_id, bool) and user_id > 0 else 0
    author = CommentAuthor(user_id, login if isinstance(login, str) else "")
    return author if any(author) else None


def _format_since(date: str) -> str:
    """Return an HTTP date in the format of the `since` query.

    An invalid date becomes the year 2000, which is before all comments.
    """
    try:
        return f"{parsedate_to_datetime(date).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (ValueError, OverflowError):
        return "2000-01-01T00:00:00Z"


def _parse_comment(data: object) -> Comment | None:
    if not isinstance(data, dict) or data.get("system"):
        return None
    comment_id, body = data.get("id"), data.get("body")
    return Comment(comment_id, body) if isinstance(comment_id, int) and isinstance(body, str) else None
