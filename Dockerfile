# Both servers and the demo in one image. No RUN --mount: the classic builder has to do.
FROM rust:1-slim-bookworm AS build
# OpenSSL, libpq and SQLite are built from their crates: a C compiler, make and perl are all they need.
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev make perl \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# dev builds faster and runs slower; the tests of docker-compose.yml use it. optimised takes three times as long as release and runs
# faster; the tool for it is the toolchain's, or Debian's.
ARG PROFILE=release
RUN case "$PROFILE" in \
      optimised) built=target/optimised \
        && { rustup component add llvm-tools \
          || { apt-get update && apt-get install -y --no-install-recommends llvm-19; }; } \
        && cargo optimise && cargo build --locked -p e2e --bins && cp target/debug/demo "$built" ;; \
      dev) built=target/debug && cargo build --locked -p identity-server -p api-manager -p e2e --bins ;; \
      *) built=target/$PROFILE \
        && cargo build --locked --profile "$PROFILE" -p identity-server -p api-manager -p e2e --bins ;; \
    esac \
 && mkdir /out \
 && cp "$built/identity-server" "$built/api-manager" "$built/demo" /out/ \
 && rm -rf target

FROM debian:bookworm-slim
# The certificate authorities that outgoing requests (JWK sets, backends) trust.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --user-group --no-create-home --home-dir /data countersign \
 && install -d -m 0700 -o countersign -g countersign /data
COPY --from=build /out/ /usr/local/bin/
USER countersign
WORKDIR /data
ENV IDENTITY_SERVER_DATA_DIR=/data/identity-server API_MANAGER_DATA_DIR=/data/api-manager
VOLUME /data
EXPOSE 9443 9444 8244
# Say which: identity-server, api-manager, or demo.
CMD ["identity-server"]
