# The base is an argument, so that an own or an air-gapped Node image does as well.
ARG NODE_IMAGE=node:26-slim

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --no-audit --no-fund

FROM ${NODE_IMAGE}
WORKDIR /app
ENV NODE_ENV=production \
    STILLWATER_CACHE__DIR=/cache
# Ids, not names: every base has them, and Kubernetes can see that they are not root.
RUN mkdir /cache && chown 1000:1000 /cache
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json LICENSE config.example.json ./
COPY src ./src
USER 1000:1000
VOLUME /cache
# 5000 serves the registry. 5001 is the admin listener: it listens on loopback inside until told otherwise.
EXPOSE 5000 5001
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.STILLWATER_ADMIN__PORT || 5001) + '/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "src/main.ts"]
CMD ["serve"]
