# The builder has the CA certificates; the result has nothing but them, the binary and two folders to write to.
FROM golang:1.26-bookworm AS build
# Set it where the default module proxy is slow: docker build --build-arg GOPROXY=…
ARG GOPROXY
ARG VERSION=dev
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X wxgate/process.builtVersion=${VERSION}" -o /out/wxgate .
RUN mkdir -p /out/data /out/tmp

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/wxgate /usr/local/bin/wxgate
COPY --from=build --chown=65532:65532 /out/tmp /tmp
COPY --from=build --chown=65532:65532 /out/data /data
COPY gateway.yaml /gateway.yaml
# A number, because Kubernetes cannot tell that a name is not root.
USER 65532:65532
# From here ./gateway.yaml is /gateway.yaml, the one of this folder unless another is mounted over it, and the default folder ./data is the volume.
WORKDIR /
VOLUME /data
# The default port. Where PORT is set, as on WeChat Cloud Run, that wins.
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/usr/local/bin/wxgate", "health"]
ENTRYPOINT ["/usr/local/bin/wxgate"]
CMD ["serve"]
