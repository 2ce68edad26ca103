# The Anneal server: docker build -f deploy/packaging/server.Dockerfile -t anneal .
FROM debian:12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
      cmake g++ ninja-build pkg-config libboost1.81-dev libboost-json1.81-dev libboost-url1.81-dev libdnnl-dev libhwy-dev \
      libpcre2-dev libpqxx-dev libsentencepiece-dev libsimdjson-dev libsodium-dev libssl-dev libutf8proc-dev libyaml-cpp-dev \
      libzstd-dev prometheus-cpp-dev zlib1g-dev && rm -rf /var/lib/apt/lists/*
COPY . /source
RUN cmake -S /source -B /build -G Ninja -DCMAKE_BUILD_TYPE=Release -DANNEAL_TESTS=OFF && cmake --build /build --target anneal

FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends \
      libboost-json1.81.0 libboost-url1.81.0 libdnnl2 libgomp1 libhwy1 libpcre2-8-0 libpqxx-6.4 libsentencepiece0 \
      libsimdjson14 libsodium23 libssl3 libutf8proc2 libyaml-cpp0.7 libzstd1 libprometheus-cpp-core1.0 \
      postgresql-15 && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /var/lib/anneal anneal
COPY --from=build /build/bin/anneal /usr/bin/anneal
COPY --from=build /source/finetune/bases /usr/share/anneal/bases
USER anneal
ENV ANNEAL_DATA=/var/lib/anneal
VOLUME /var/lib/anneal
EXPOSE 8470
ENTRYPOINT ["anneal"]
CMD ["serve", "--address", "0.0.0.0"]
