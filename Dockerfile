# Both servers and the demo in one image. No RUN --mount: the classic builder has to do.
FROM rust:1-slim-bookworm AS build
# OpenSSL, libpq and SQLite are built from their crates: a C compiler, make and perl are all they need.
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev make perl \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# dev builds faster and runs slower; the tests of docker-compose.yml use it.
ARG PROFILE=release
RUN cargo build --locked --profile "$PROFILE" -p identity-server -p api-manager -p e2e --bins \
 && if [ "$PROFILE" = dev ]; then built=debug; else built=$PROFILE; fi \
 && mkdir /out \
 && cp "target/$built/identity-server" "target/$built/api-manager" "target/$built/demo" /out/ \
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
