# skepd and skep in one image. Runs `skepd` with the flags that it is given.
ARG BUILD_IMAGE=node:22-bookworm
ARG RUNTIME_IMAGE=node:22-bookworm-slim

FROM ${BUILD_IMAGE} AS build
WORKDIR /opt/skep
COPY package.json package-lock.json ./
# The native module (SQLite) is built here, for the C library of these images. Where no registry can be reached,
# a build image may bring /opt/skep/node_modules.
RUN [ -d node_modules ] || (npm ci --ignore-scripts && npm rebuild better-sqlite3)
COPY tsconfig.json ./
COPY src src
RUN node_modules/.bin/tsc -p tsconfig.json && npm prune --omit=dev --ignore-scripts --offline

FROM ${RUNTIME_IMAGE}
WORKDIR /opt/skep
COPY --from=build /opt/skep/node_modules node_modules
COPY --from=build /opt/skep/dist dist
COPY package.json LICENSE ./
COPY openapi openapi
COPY scripts/compose-swarm.mjs scripts/
RUN chmod +x dist/src/main.js dist/src/cli/main.js \
  && mkdir -p /usr/local/bin /var/lib/skep \
  && ln -s /opt/skep/dist/src/main.js /usr/local/bin/skepd \
  && ln -s /opt/skep/dist/src/cli/main.js /usr/local/bin/skep
VOLUME /var/lib/skep
EXPOSE 2375 2377
ENTRYPOINT ["/usr/local/bin/skepd"]
