# gem serve on a CPU: docker build -t gem-ecg . && docker run --rm -p 8000:8000 -e GEM_API_KEY=my_key gem-ecg
FROM python:3.12-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY modeling_gem modeling_gem
COPY processing processing
COPY recipes recipes
COPY hub_cards hub_cards
RUN python -m venv /opt/gem \
    && /opt/gem/bin/pip install --no-cache-dir "torch==2.13.0" --index-url https://download.pytorch.org/whl/cpu \
    && /opt/gem/bin/pip install --no-cache-dir ".[serve,dicom,hdf5,edf,vendor,pages,photo]"

FROM python:3.12-slim-bookworm
COPY --from=build /opt/gem /opt/gem
RUN useradd --create-home --uid 10001 gem
USER 10001
ENV PATH=/opt/gem/bin:$PATH HF_HOME=/home/gem/.cache/huggingface
EXPOSE 8000
# An address is always accepted as the server's name; a name goes with --allow-host or GEM_HOSTS.
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["gem", "serve", "--host", "0.0.0.0"]
