"""`celery -A worker.app worker -Q live`: the Celery application for those who start the worker themselves."""

from worker.celery import create_worker
from worker.settings import load_settings

app = create_worker(load_settings())
