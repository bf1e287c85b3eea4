# syntax=docker/dockerfile:1
#
# The server, its C libraries and the root certificates; nothing else, so no shell, no package manager. It runs as a user without
# rights and writes only to /data, so the root file system may be read-only:
#
#   docker build -t countersign .
#   docker run --read-only -v countersign:/data -p 8080:8080 -e COUNTERSIGN_ISSUER=http://localhost:8080 countersign

FROM rust:1-slim-bookworm AS build
# aws-lc, the cryptography library, and SQLite are C: they want a compiler, and on some architectures cmake and clang.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates cmake clang g++ make \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
# Crates and compiled dependencies stay in caches between builds; only the binary leaves them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --release --locked \
 && install -D target/release/countersign /image/countersign
RUN scripts/image-root /image \
 && install -d -m 700 /volumes/data

FROM scratch
COPY --from=build /image /
# A fresh volume takes over owner and mode of the folder that it covers.
COPY --from=build --chown=65532:65532 /volumes /
ENV COUNTERSIGN_LISTEN=0.0.0.0:8080
# The default database, `sqlite://countersign.db`, stands in the working folder; `countersign.yaml` is looked for there too.
WORKDIR /data
VOLUME /data
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/countersign", "health"]
ENTRYPOINT ["/countersign"]
CMD ["serve"]
