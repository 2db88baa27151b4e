//! `docker compose up`, the scenario's lines, `docker compose down`.
