//! The guarded traffic: tokio and hyper, its own listener. A cache hit touches no lock and no database.
