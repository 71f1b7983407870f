//! What docker and compose say when a step fails, and what it means. Pure.

/// The same for what docker and compose say, which is nearer to the root than what the program in the container says.
pub(super) const DOCKER: &[(&str, &str, &str)] = &[
    (
        r"(?i)permission denied while trying to connect to the docker (?:daemon|api)|error while fetching server API version[^\n]*permission denied",
        "the login user may not use docker",
        "add the user to the group `docker` there, or set `become: sudo`",
    ),
    (
        r"Cannot connect to the Docker daemon|Error while fetching server API version|Couldn't connect to Docker daemon|error during connect",
        "the docker daemon does not answer",
        "see `systemctl status docker` on the host",
    ),
    (
        r"neither docker compose nor docker-compose is on the host",
        "compose is not on the host",
        "install the package `docker-compose-plugin` (or `docker-compose`) there",
    ),
    (
        r"the image (\S+) is not on the host, and may not be pulled",
        "the image `$1` is not on the host, and `pull: never` forbids to fetch it",
        "load it there (`docker load`), or take `pull: never` away",
    ),
    (
        r"the image of this release is gone from the host, and no registry has it: (\S+) was (\S+)",
        "the image of this release is gone from the host, and nothing says that `$1` still means it",
        "load that image there again; or give what its name means now a tag of its own, and deploy that",
    ),
    (
        r"the image (\S+) is made for (\S+), and the engine of the host is (\S+)",
        "the image `$1` is made for $2, and the host is $3",
        "give an image that is made for the host's platform, or for several",
    ),
    (
        r"(?s)no matching manifest for ([^\s:]+).*the image (\S+) was not fetched",
        "the image `$2` is not made for $1, which the host is",
        "give an image that is made for the host's platform, or for several: `docker buildx build --platform ...`",
    ),
    (
        r"the image registry (\S+) does not let (\S+) in: (?:[^\n]*\n)*?[^\n]*(?i:unauthorized|denied|incorrect)",
        "the image registry `$1` does not take the password of $2",
        "see `registries` of the registry: the user, and what the variable or the file of its password holds",
    ),
    (
        r"(?i)pull access denied for ([^\s,]+)[^\n]*|resolve source metadata for (\S+): [^\n]*(?:denied|not found)[^\n]*|manifest for (\S+) not found[^\n]*|(?:manifest unknown|repository does not exist|requested access to the resource is denied)(?s:.*)the image (\S+) was not fetched",
        "the registry does not have the image `$1$2$3$4`, or wants a login for it",
        "see that name and tag are right; for a private registry give `registries`, with the user and where the password is",
    ),
    (
        r"(?i)dial tcp: lookup (\S+)|(?:Get|Head) .?https?://([^/\s]+)/v2/[^\n]*(?:timeout|refused|no route|unreachable|reset)",
        "the registry `$1$2` cannot be reached from the host",
        "see the host's network and proxy settings of docker; an image that is there needs no registry (`pull: never`)",
    ),
    (
        r#"(?i)container name "/?([^"\s]+)" is already in use by container "?([0-9a-f]{12})"#,
        "another container on the host is called `$1` (id $2), and was not made for this service",
        "see it with `docker inspect` on the host; rename it (`docker rename`) or take it away, and deploy again",
    ),
    (
        r"(?i)bind source path does not exist: (\S+)",
        "`$1` is to be mounted, and is not on the host",
        "make it there, send it with `files`, or mount a named volume",
    ),
    (
        r"(?m)^(\S+) mounts (.+) writable, which goes with its release$",
        "`$1` would write to `$2`, which lies in its release: the next release would begin without what is written there",
        "name the folder in the compose file as `./NAME`, without a variable, and it is kept in the shared folder; or mount an \
         absolute path, or a named volume",
    ),
    (
        r"(?m)^the image keeps data in (.+), and nothing is mounted there$",
        "the image keeps data in `$1`, and the service mounts nothing there: it would be left behind with a container that goes",
        "give it a named volume (`volumes: [\"data:/PATH\"]`); or leave its `instances` as they are, and to go back nevertheless deploy \
         the older version with as many; what a container of it holds now is in a volume without a name, which `docker inspect` on the \
         host shows",
    ),
    (
        r"the project (\S+) is there already, and was not brought up by portoser",
        "a compose project `$1` runs there already, and portoser did not bring it up",
        "stop it with its own files (`docker compose down` keeps volumes), and deploy again",
    ),
    (
        r"the project (\S+) does not run as its compose file says: ([^\n]+)",
        "what runs of the compose project `$1` is not what its compose file says: $2",
        "bring it up there with its own file first, or put the file beside the registry right; nothing was touched",
    ),
    (
        r"the project (\S+) does not run, so it cannot be taken over",
        "nothing of the compose project `$1` runs, so there is nothing to take over",
        "start it there with its own file (`docker compose start`), and deploy again",
    ),
    (
        r#"(?i)exec:? "?([^":\s]+)"?: (?:executable file not found in|stat [^:\n]*: no such file)"#,
        "`$1` is not in the image",
        "correct the first word of `command`, or of the health check's `test`",
    ),
    (
        r"exec \S+: exec format error",
        "the image is built for another kind of machine",
        "build it for the host's processor",
    ),
    (
        r"(?i)unable to find user (\S+):",
        "the image has no user `$1`",
        "give a `user` that the image has in its /etc/passwd",
    ),
    (
        r"(?i)The Compose file .* is invalid|validating [^:\n]+: |additional propert\w+ .* not allowed|yaml: |contains an invalid type",
        "compose does not accept the compose file",
        "see `docker compose config` on it; the older docker-compose on a host knows fewer keys",
    ),
    (
        r"(?m)^container (\S+) is running, .* health unhealthy$",
        "the health check of the container `$1` fails",
        "what it said last is shown; mend the service, or its `healthcheck`",
    ),
    (
        r"it was killed by the OOM killer",
        "the kernel killed it, as memory ran out",
        "raise `limits.memory`, let it use less, or give the host more memory",
    ),
    (
        r"(?m)^container (\S+) is (?:exited|restarting|dead), exit code 137, ",
        "the container `$1` was killed (SIGKILL), as the kernel does when memory runs out",
        "see `dmesg` on the host; raise `limits.memory`, or let it use less",
    ),
    (
        r"(?m)^container (\S+) is running, exit code 0, started again [1-9]\d* times",
        "the container `$1` ended each time it was started",
        "its last lines are shown; mend what they tell of, and deploy again",
    ),
    (
        r"(?m)^container (\S+) is (?:exited|restarting|dead), exit code ([1-9]\d*), ",
        "the container `$1` ended with exit code $2",
        "its last lines are shown; mend what they tell of, and deploy again",
    ),
    (
        r"(?m)^container (\S+) is (?:exited|restarting), exit code 0, ",
        "the container `$1` ended by itself without a fault, and a service has to stay",
        "let it stay in the foreground; for what runs once, set `restart: { policy: never }`",
    ),
];
