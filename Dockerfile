# syntax=docker/dockerfile:1

# The controller's image. Default features only: neither the platform simulator nor what tests need is in it.
# Debian's release is the same in both stages: the program is linked to its C library.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release \
    && install -D target/release/tenant-pricing-controller /out/tenant-pricing-controller

# No shell and no package manager, but the certificate authorities that the platform's certificates come from.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="tenant-pricing-controller" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/tenant-pricing-controller /usr/local/bin/tenant-pricing-controller
# By number, so that the kubelet can tell that it is not root.
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/tenant-pricing-controller"]
CMD ["run"]
