# A host with systemd, without python3, curl, zstd and busybox: only what no Debian machine lacks.
ARG BASE
FROM ${BASE}
RUN dpkg --purge --force-depends $(dpkg-query -W -f '${Package}\n' | grep -E '^(lib)?python3|^(lib)?curl|^libcurl|^zstd$|^busybox') \
 && ! command -v python3 && ! command -v curl && ! command -v zstd
