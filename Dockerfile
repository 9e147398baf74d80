# syntax=docker/dockerfile:1
# Targets: `millrace` (API and workers of the pools default, heavy and mail), `browser` (the same with Chromium).

FROM python:3.13-slim-bookworm AS build
WORKDIR /src
COPY requirements.lock ./
# Every file that may be installed has the digest that the lock names; what is installed of it is what running needs.
RUN pip download --no-cache-dir --quiet --no-deps --require-hashes --requirement requirements.lock --dest /wheels
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY streams streams
COPY consumers consumers
COPY api api
RUN python -m venv /opt/millrace \
    && /opt/millrace/bin/pip install --no-cache-dir --quiet --no-index --find-links /wheels \
        ".[filings,audit,leads,documents,llm]"

FROM python:3.13-slim-bookworm AS millrace
# Debian's security updates are wanted here, so versions are not pinned.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        fonts-dejavu-core libharfbuzz-subset0 libpango-1.0-0 libpangoft2-1.0-0 \
        tesseract-ocr tesseract-ocr-deu tesseract-ocr-fra tesseract-ocr-spa \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home --shell /usr/sbin/nologin millrace \
    && install --directory --owner millrace --group millrace /data /data/artifacts
COPY --from=build /opt/millrace /opt/millrace
ENV PATH=/opt/millrace/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MILLRACE_HOME=/data
USER 10001:10001
WORKDIR /data
VOLUME /data/artifacts
EXPOSE 8000
ENTRYPOINT ["millrace"]
CMD ["--help"]

FROM millrace AS browser
USER 0:0
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends chromium \
    && rm -rf /var/lib/apt/lists/*
USER 10001:10001
