# syntax=docker/dockerfile:1
# CPU:   docker build -t clipsim .
# CUDA:  docker build -t clipsim --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 .
# Weights in the image (about 600 MB; otherwise fetched into the volume at the first start):
#        docker build -t clipsim --build-arg BAKE="musicnn i3d mpnet" --build-arg CACHE=/opt/weights .
ARG PYTHON=3.12

# One environment, built where compilers and caches may be, and copied as a whole.
FROM python:${PYTHON}-slim AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/clipsim
# Layers from the slowest to change to the fastest: PyTorch, what clipsim needs, clipsim.
COPY pyproject.toml constraints.txt ./
COPY tools/requirements.py tools/
RUN python tools/requirements.py torch torchvision > torch.txt \
    && /opt/clipsim/bin/pip install --extra-index-url "${TORCH_INDEX}" -c constraints.txt -r torch.txt
RUN python tools/requirements.py > requirements.txt \
    && /opt/clipsim/bin/pip install -c constraints.txt -r requirements.txt
COPY README.md LICENSE ./
COPY clipsim clipsim
COPY bot bot
RUN /opt/clipsim/bin/pip install --no-deps .

FROM python:${PYTHON}-slim AS run
ARG BAKE=""
ARG CACHE=/data/weights
RUN useradd --uid 10001 --user-group --create-home clipsim \
    && install -d -o clipsim -g clipsim /data "${CACHE}"
COPY --from=build /opt/clipsim /opt/clipsim
# All that is written lies in /data: the root file system may be read-only.
ENV PATH=/opt/clipsim/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    XDG_CACHE_HOME=/data/cache \
    DENO_DIR=/data/cache/deno \
    MPLCONFIGDIR=/data/cache/matplotlib \
    NUMBA_CACHE_DIR=/data/cache/numba \
    CLIPSIM_DATA=/data/library \
    CLIPSIM_CACHE=${CACHE} \
    CLIPSIM_WEB_HOST=0.0.0.0 \
    CLIPSIM_WEB_PORT=8080
USER 10001:10001
WORKDIR /data
RUN if [ -n "${BAKE}" ]; then for name in ${BAKE}; do clipsim models pull "${name}" || exit 1; done; fi
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ['CLIPSIM_WEB_PORT']}/healthz\", timeout=4)"]
CMD ["python", "-m", "bot"]
