# `docker build -t gslb .` makes the server that people deploy (docs/containers.md); `--target lab` what
# else docker-compose.yml needs. Neither BuildKit nor a registry is needed: BASE_IMAGE is any Debian with
# Python 3.11 or newer and its venv, and deploy/base-image.sh makes one.
ARG BASE_IMAGE=python:3.12-slim-bookworm

# --- what gslb imports, in a virtual environment without pip ---------------------------------------------
FROM ${BASE_IMAGE} AS dependencies
ARG PIP_INDEX_URL
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python3 -m venv /build && python3 -m venv --without-pip /opt/gslb
COPY pyproject.toml /src/
# By themselves, so that a changed line of gslb fetches nothing again. The root file system is read-only, so
# what is not compiled here is compiled at every start; "unchecked": no file's time can make it invalid.
RUN python3 -c 'import tomllib; project = tomllib.load(open("/src/pyproject.toml", "rb"))["project"]; \
print(*project["dependencies"], sep="\n")' > /src/requirements.txt \
    && /build/bin/pip --python /opt/gslb/bin/python3 install --quiet --no-compile -r /src/requirements.txt \
    && python3 -m compileall -q -x /tests/ --invalidation-mode unchecked-hash /opt/gslb/lib

# --- gslb itself, as a wheel installed below /out --------------------------------------------------------
FROM dependencies AS build
COPY . /src
RUN /build/bin/pip wheel --quiet --no-deps --wheel-dir /wheel /src \
    && /build/bin/pip --python /opt/gslb/bin/python3 install --quiet --no-compile --no-deps --root /out /wheel/*.whl \
    && python3 -m compileall -q --invalidation-mode unchecked-hash -s /out /out/opt/gslb/lib \
    # COPY keeps a mode, and after umask 077 that would be one for root alone.
    && install -D -m 0755 /src/deploy/entrypoint.sh /entrypoint/gslb

# --- target `lab`: the other servers, the tools and the clients of docker-compose.yml --------------------
# Where a stage says things of the image, it says them as early as it can: the classic builder makes a
# layer of each, and looks through all that is there for what has changed.
FROM ${BASE_IMAGE} AS tools
ENV PATH=/opt/gslb/bin:$PATH PYTHONDONTWRITEBYTECODE=1
# No service is started here.
RUN printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d && chmod 0755 /usr/sbin/policy-rc.d \
    && printf 'path-exclude=/usr/share/%s/*\n' doc locale man > /etc/dpkg/dpkg.cfg.d/small \
    && apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends \
        bind9-dnsutils curl knot unbound > /dev/null \
    && rm -rf /var/lib/apt/lists/* /usr/sbin/policy-rc.d

FROM tools AS lab
USER 5353:5353
COPY --from=dependencies /opt/gslb /opt/gslb
COPY --from=build /out/ /

# --- target `runtime`: the server, and nothing else ------------------------------------------------------
FROM ${BASE_IMAGE} AS runtime
RUN groupadd --gid 5353 gslb \
    && useradd --uid 5353 --gid 5353 --home-dir /var/lib/gslb --no-create-home --shell /usr/sbin/nologin gslb \
    && install -d -o gslb -g gslb -m 0750 /var/lib/gslb && install -d /etc/gslb \
    # Some images have the standard library without what is compiled of it.
    && python3 -m compileall -q -x '/(dist|site)-packages/|/(ensurepip|idlelib|lib2to3|test|tests|tkinter|turtledemo)/' \
        "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
# STATE_DIRECTORY: where the last good configuration is looked for when gslb.yaml itself is gone.
ENV PATH=/opt/gslb/bin:$PATH PYTHONDONTWRITEBYTECODE=1 STATE_DIRECTORY=/var/lib/gslb
WORKDIR /etc/gslb
EXPOSE 53/udp 53/tcp
STOPSIGNAL SIGTERM
# A start with a full-size GeoIP database takes ten seconds, waiting for first probes ten more.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["/opt/gslb/bin/python3", "-P", "-m", "gslb.readiness"]
ENTRYPOINT ["/opt/gslb/bin/gslb"]
CMD ["serve", "-c", "/etc/gslb/gslb.yaml"]
COPY --from=dependencies /opt/gslb /opt/gslb
# Port 53 for a user who is not root: CAP_NET_BIND_SERVICE, permitted and effective, on a copy of the
# interpreter (linux/capability.h: revision 2 with the effective bit, then the two sets in halves).
# By system call: setcap would be a package. deploy/entrypoint.sh says when this copy is the one executed.
RUN cp -L /opt/gslb/bin/python3 /opt/gslb/bin/python3-port53 \
    && python3 -c 'import os, struct; os.setxattr("/opt/gslb/bin/python3-port53", "security.capability", \
struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0))'
VOLUME /var/lib/gslb
USER 5353:5353
COPY --from=build /out/ /
COPY --from=build /entrypoint/gslb /opt/gslb/bin/gslb
ARG BASE_IMAGE VERSION=0.1.0 REVISION="" CREATED=""
LABEL org.opencontainers.image.title="gslb" \
    org.opencontainers.image.description="An authoritative GeoDNS server that sends every client to a near and healthy data center" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.created="${CREATED}" \
    org.opencontainers.image.base.name="${BASE_IMAGE}"
