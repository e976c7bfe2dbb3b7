# One image for every part: `calltag up` as it is, or `calltag web`, `worker`, `sweeper` (see docker-compose.yml).
FROM python:3.13-slim AS build
WORKDIR /build
RUN python -m venv /venv
COPY requirements.lock ./
RUN /venv/bin/pip install --no-cache-dir --require-hashes --no-deps --only-binary :all: -r requirements.lock
COPY . .
RUN /venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation --no-index .

FROM python:3.13-slim
RUN useradd --uid 10001 --create-home calltag && install -d -o calltag -g calltag -m 700 /data
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 CALLTAG_DATA_DIR=/data CALLTAG_HOST=0.0.0.0 CALLTAG_RULES=/rules
USER calltag
WORKDIR /home/calltag
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD \
    ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
ENTRYPOINT ["calltag"]
CMD ["up"]
