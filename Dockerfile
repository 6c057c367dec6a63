# One image for every command: `docker run IMAGE` is the gateway, `docker run IMAGE worker` a worker.
# Configuration and processors are copied in; mount others over /app/config and /app/processors.
# With --init (compose.yaml has it): somebody has to reap what a killed processor leaves behind.

FROM python:3.12-slim AS build
WORKDIR /build
# Hookline's hot parts are compiled, as pyproject.toml says; of what it depends on nothing is: all has wheels.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && python -m venv /opt/hookline
COPY pyproject.toml README.md LICENSE ./
COPY gateway gateway
RUN HATCH_BUILD_HOOK_ENABLE_MYPYC=1 \
    /opt/hookline/bin/pip install --no-cache-dir --only-binary=:all: --no-binary=hookline ".[dashboard]" \
    && /opt/hookline/bin/pip uninstall --yes pip

FROM python:3.12-slim
RUN groupadd --gid 10001 hookline \
    && useradd --uid 10001 --gid hookline --no-create-home --home-dir /app --shell /usr/sbin/nologin hookline \
    && install -d -o hookline -g hookline /var/lib/hookline /var/lib/hookline/spool
COPY --from=build /opt/hookline /opt/hookline
WORKDIR /app
COPY config config
COPY processors processors
# What is written here: the spool, and the example processors' journal. Volumes, if they are to stay.
ENV PATH=/opt/hookline/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOOKLINE_CONFIG=/app/config \
    HOOKLINE_PROCESSORS=/app/processors \
    HOOKLINE_SPOOL=/var/lib/hookline/spool \
    HOOKLINE_JOURNAL_DIR=/var/lib/hookline/journal
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
# Of the gateway. A worker serves no port: compose.yaml shows a check that fits it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/readyz', timeout=3)"]
ENTRYPOINT ["hookline"]
CMD ["serve", "--host", "0.0.0.0"]
