# One image for the API, the workers and the migration. The default torch wheel brings CUDA.
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1
WORKDIR /opt/heddle

# The dependencies change seldom: in a layer of their own, below the code.
COPY pyproject.toml README.md LICENSE ./
RUN mkdir api heddle migrations ml store worker && pip install . && pip uninstall --yes heddle

COPY api api
COPY heddle heddle
COPY migrations migrations
COPY ml ml
COPY store store
COPY worker worker
RUN pip install --no-deps . && useradd --create-home heddle && install -d -o heddle /var/lib/heddle

USER heddle
ENV HEDDLE_HOME=/var/lib/heddle NUMBA_CACHE_DIR=/var/lib/heddle/numba
CMD ["python", "-m", "api", "--host", "0.0.0.0", "--port", "8000"]
