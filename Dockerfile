# docker build -t heatproof .
# docker run --name heatproof --memory 8g -p 127.0.0.1:8501:8501 -v heatproof:/data heatproof
# docker exec heatproof python -m core info          # on a shared store; a DuckDB file belongs to the dashboard while it runs
#
# It answers to localhost:8501. Published on another port, or for other machines, say what stands in the browser's address:
#   -p 127.0.0.1:9000:8501 -e HEATPROOF_HOSTS=localhost:9000        -p 8501:8501 -e HEATPROOF_HOSTS=heat.example.org:8501
# Others than this machine only look until people sign in: mount your secrets.toml, it is never part of the image:
#   -v ./secrets.toml:/opt/heatproof/.streamlit/secrets.toml:ro
# /metrics answers its own machine only, and in a container nobody else is: -e HEATPROOF_METRICS=all, with a proxy that does not pass it on.
FROM python:3.11-slim

# An index that has a CPU build of torch saves several gigabytes: --build-arg PIP_EXTRA_INDEX_URL=…
ARG PIP_EXTRA_INDEX_URL=""
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

RUN useradd --system --uid 10001 --create-home heatproof && install --directory --owner heatproof --mode 0750 /data
WORKDIR /opt/heatproof
COPY requirements.txt requirements-lake.txt ./
RUN pip install -r requirements.txt -r requirements-lake.txt
COPY LICENSE app.py ./
COPY .streamlit/config.toml .streamlit/config.toml
COPY core core
COPY pages pages

USER heatproof
ENV HEATPROOF_STORE=/data/heatproof.duckdb HEATPROOF_LOG=json
VOLUME /data
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8501/readyz', timeout=4)"]
CMD ["python", "-m", "streamlit", "run", "app.py", "--server.address", "0.0.0.0", "--server.port", "8501"]
