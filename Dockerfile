FROM python:3.12-slim

WORKDIR /srv/intentwin
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY twin twin
COPY policies policies
COPY data data
RUN pip install --no-cache-dir --no-deps -e . \
    && useradd --create-home operator \
    && mkdir /var/lib/intentwin \
    && chown -R operator /var/lib/intentwin /srv/intentwin
USER operator
ENV INTENTWIN_HOME=/var/lib/intentwin
# Compiles the kernels and every routing rule into the image and computes the example, so that the first page is there at once.
RUN python -c "import policies.systems as s; from importlib.util import find_spec; from importlib import import_module; from pkgutil import iter_modules; \
    [import_module(name) for name in (f'policies.systems.{m.name}.routes' for m in iter_modules(s.__path__)) if find_spec(name)]" \
    && intentwin run example
EXPOSE 8501
# An unknown path answers 200 too, so the body is what is compared.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD python -c "import sys, urllib.request as u; sys.exit(u.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4).read().strip() != b'ok')"
CMD ["intentwin", "serve", "--address", "0.0.0.0", "--port", "8501"]
