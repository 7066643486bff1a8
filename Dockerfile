# Viable's image: web, worker, beat and migrations are the same one with different commands (docker-compose.yml).
#
# Where no package index can be reached, hand over a folder with wheels in place of the empty stage:
#     docker build --build-context wheels=FOLDER --build-arg PIP_NO_INDEX=1 .
FROM scratch AS wheels

FROM python:3.13-slim AS build
ARG PIP_NO_INDEX
ARG PIP_INDEX_URL
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /opt/viable
COPY requirements-server.lock .
# Only wheels, only those of the lock: nothing is compiled, so no compiler is needed, here or later.
RUN --mount=type=bind,from=wheels,target=/wheels \
    python -m venv --without-pip venv \
    && python -m pip --python venv/bin/python install --require-hashes --only-binary=:all: --find-links=/wheels \
       --requirement requirements-server.lock
COPY . app
RUN cd app \
    && SECRET_KEY=for-collectstatic STATIC_ROOT=/opt/viable/static DJANGO_SETTINGS_MODULE=config.settings.prod \
       ../venv/bin/python manage.py collectstatic --no-input --verbosity 0 \
    && ../venv/bin/python -m compileall -q .

FROM python:3.13-slim
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin viable \
    && install --directory --owner viable --group viable /var/lib/viable/media /var/lib/viable/beat
COPY --from=build /opt/viable /opt/viable
WORKDIR /opt/viable/app
ENV PATH=/opt/viable/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    DJANGO_SETTINGS_MODULE=config.settings.prod \
    STATIC_ROOT=/opt/viable/static \
    MEDIA_ROOT=/var/lib/viable/media
USER 10001:10001
EXPOSE 8000
CMD ["granian", "--interface", "wsgi", "--no-ws", "--host", "0.0.0.0", "--port", "8000", "config.wsgi:application"]
