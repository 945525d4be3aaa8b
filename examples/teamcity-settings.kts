// .teamcity/settings.kts: starts the tests of autonoma.yml for each pull request and waits for the results. The Tests
// tab, the build's status and problem, and parameters of later steps show them.
//
// Requirement: the parameters autonoma.client.id and autonoma.client.secret (type Password) of the project.
import jetbrains.buildServer.configs.kotlin.*
import jetbrains.buildServer.configs.kotlin.buildFeatures.pullRequests
import jetbrains.buildServer.configs.kotlin.buildSteps.script
import jetbrains.buildServer.configs.kotlin.triggers.vcs

version = "2025.11"

project {
    buildType {
        id("Autonoma")
        name = "Autonoma"
        artifactRules = "autonoma-results/** => autonoma-results.zip" // published after a failure too
        params {
            param("env.AUTONOMA_CLIENT_ID", "%autonoma.client.id%")
            param("env.AUTONOMA_CLIENT_SECRET", "%autonoma.client.secret%")
            param("env.AUTONOMA_MANIFEST", "autonoma.yml")
            param("env.AUTONOMA_GROUPS", "smoke")
            param("env.AUTONOMA_WAIT", "true")
            param("env.AUTONOMA_RESULTS_DIR", "autonoma-results")
            param("env.AUTONOMA_EVIDENCE", "failed")
            param("env.AUTONOMA_RUN_URL", "")
        }
        vcs { root(DslContext.settingsRoot) }
        steps {
            script {
                name = "Run Autonoma tests"
                scriptContent = "autonoma-ci run"
                dockerImage = "ghcr.io/OWNER/autonoma-ci:1"
            }
            script {
                name = "Show the link"
                executionMode = BuildStep.ExecutionMode.ALWAYS
                scriptContent = "echo \"First run \$AUTONOMA_RUN_URL\"" // a %parameter% would become script code
            }
        }
        triggers { vcs { branchFilter = "+:pull/*" } }
        features { pullRequests { provider = github { authType = vcsRoot() } } }
    }
}
