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
# Kernels are compiled for one kind of CPU and cached for that kind only: by default for the one that builds the image, so they
# would compile again elsewhere. x86-64-v3 is every server with AVX2 (Haswell, Zen and later). Measured against the builder's own
# kind: serving 7 to 10 % faster, the plant 5 to 8 % slower; with `generic` the plant is 22 to 28 % slower. On a CPU without AVX2 run
# with -e NUMBA_CPU_NAME=generic; other architectures ignore the name.
ENV NUMBA_CPU_NAME=x86-64-v3
ENV NUMBA_CPU_FEATURES=""
# Compiles the kernels and every routing rule into the image, by a quarter of an hour under each system, and computes the example,
# so that the first page is there at once.
RUN python -c "from policies import catalogue, study; from policies.policy import Held, PolicySet, Schedule; \
    from twin.run import simulate; from twin.scenario import load; place = load('example'); \
    held = lambda card: PolicySet(levers={lever: (Held(system=card.id),) for lever in card.levers}); \
    [simulate(place, study.phases(Schedule.of(held(card)), place), until_s=900.0) for card in catalogue.cards().values()]" \
    && intentwin run example
EXPOSE 8501
# An unknown path answers 200 too, so the body is what is compared.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD python -c "import sys, urllib.request as u; sys.exit(u.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4).read().strip() != b'ok')"
CMD ["intentwin", "serve", "--address", "0.0.0.0", "--port", "8501"]
