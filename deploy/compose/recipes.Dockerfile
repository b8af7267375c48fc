# The recipe service of the example: examples/recipes.
FROM golang:1.26-bookworm AS build
ARG GOPROXY
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o /out/recipes ./examples/recipes/serve

FROM scratch
COPY --from=build /out/recipes /recipes
USER 65532:65532
EXPOSE 3000
ENTRYPOINT ["/recipes"]
CMD ["-listen", ":3000"]
