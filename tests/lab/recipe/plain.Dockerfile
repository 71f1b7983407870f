# A host without systemd: nothing supervises, sshd is all that runs.
ARG BASE
FROM ${BASE}
STOPSIGNAL SIGTERM
CMD ["/bin/sh", "-c", "mkdir -p /run/sshd && exec /usr/sbin/sshd -D -e"]
