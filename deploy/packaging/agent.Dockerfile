# The plant agent: docker build -f deploy/packaging/agent.Dockerfile -t anneal-agent .
FROM debian:12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
      cmake g++ ninja-build pkg-config libboost1.81-dev libboost-json1.81-dev libboost-url1.81-dev libdnnl-dev libhwy-dev \
      libpcre2-dev libpqxx-dev libsentencepiece-dev libsimdjson-dev libsodium-dev libssl-dev libutf8proc-dev libyaml-cpp-dev \
      libzstd-dev prometheus-cpp-dev zlib1g-dev && rm -rf /var/lib/apt/lists/*
COPY . /source
RUN cmake -S /source -B /build -G Ninja -DCMAKE_BUILD_TYPE=Release -DANNEAL_TESTS=OFF && cmake --build /build --target anneal_agent

FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends \
      libboost-json1.81.0 libboost-url1.81.0 libdnnl2 libgomp1 libhwy1 libpcre2-8-0 libsentencepiece0 libsimdjson14 \
      libsodium23 libssl3 libutf8proc2 libyaml-cpp0.7 libzstd1 libprometheus-cpp-core1.0 && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /var/lib/anneal-agent anneal-agent
COPY --from=build /build/bin/anneal-agent /usr/bin/anneal-agent
USER anneal-agent
VOLUME /var/lib/anneal-agent
EXPOSE 8471
ENTRYPOINT ["anneal-agent", "--data", "/var/lib/anneal-agent", "--address", "0.0.0.0"]
