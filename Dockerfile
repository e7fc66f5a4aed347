# The server in a container, as a user without rights; docs/serving.md says with which limits to run it.
FROM python:3.12-slim

WORKDIR /opt/c2m-tf
COPY requirements.txt .
RUN pip install --no-cache-dir --requirement requirements.txt
COPY pyproject.toml README.md LICENSE LICENSE-WEIGHTS.md ./
COPY c2m_tf c2m_tf
COPY training training
COPY export export
RUN pip install --no-cache-dir --no-deps --no-build-isolation . && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin c2m

USER 10001
ENV HOME=/tmp
EXPOSE 8000
HEALTHCHECK --start-period=120s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/v2/health/ready')"]
ENTRYPOINT ["c2m-tf", "serve", "--host", "0.0.0.0"]
CMD ["--allow-host", "localhost"]
