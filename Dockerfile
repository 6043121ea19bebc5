# The base is an argument, so that an own or an air-gapped Node image does as well.
ARG NODE_IMAGE=node:26-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# No package that is needed later has to run anything to be installed.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
# Of what remains a third is declarations and source maps, which nothing reads when it runs.
RUN npm run build \
  && npm prune --omit=dev --ignore-scripts --no-audit --no-fund \
  && find node_modules -type f \( -name '*.map' -o -name '*.d.*ts' \) -exec rm {} +

FROM ${NODE_IMAGE}
WORKDIR /app
ENV NODE_ENV=production \
    STILLWATER_CACHE__DIR=/cache
# Ids, not names: every base has them, and Kubernetes can see that they are not root.
RUN mkdir /cache && chown 1000:1000 /cache && ln -s /app/dist/main.js /usr/local/bin/stillwater
COPY --from=build /app/node_modules ./node_modules
COPY package.json LICENSE config.example.json ./
COPY --from=build /app/dist ./dist
USER 1000:1000
VOLUME /cache
# 5000 serves the registry. 5001 is the admin listener: it listens on loopback inside until told otherwise.
EXPOSE 5000 5001
# It finds the admin listener, and the token that it wants, where the mirror has them from.
HEALTHCHECK --interval=10s --timeout=10s --start-period=15s --retries=3 CMD ["stillwater", "status"]
ENTRYPOINT ["node", "dist/main.js"]
CMD ["serve"]
