//! The api-manager's command line.

fn main() {}
