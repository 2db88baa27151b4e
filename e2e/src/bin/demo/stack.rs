//! The servers of the demo: on the scenario's ports, on loopback, with a data directory that ends with them.

use std::net::{SocketAddr, TcpListener};

use e2e::backend::Backend;
use e2e::world::ADMIN_PASSWORD;
use shared_claims::clock::Clock;
use tempfile::TempDir;

use crate::guide::Failure;
use crate::scenario::Places;

/// Both servers and the backend.
pub struct Stack {
    identity: identity_server::Running,
    manager: api_manager::Running,
    backend: Backend,
    ports: Ports,
    _data: TempDir,
}

#[derive(Clone, Copy)]
struct Ports {
    identity: u16,
    manager: u16,
    gateway: u16,
}

impl Stack {
    /// Starts everything with ports moved up by `offset`.
    pub async fn start(offset: u16) -> Result<Self, Failure> {
        let ports = Ports { identity: 9443 + offset, manager: 9444 + offset, gateway: 8244 + offset };
        ports.are_free()?;
        let data = TempDir::new().map_err(|why| Failure::new(format!("No temporary directory: {why}")))?;
        let failed =
            |what: &str, why: &dyn std::fmt::Display| Failure::new(format!("{what} does not start: {why}"));

        let backend = Backend::start().await.map_err(|why| failed("The backend", &why))?;
        let mut settings = identity_server::Settings::for_tests(&data.path().join("identity-server"));
        settings.listen = loopback(ports.identity);
        settings.public_url = url(ports.identity);
        settings.issuer = url(ports.identity);
        let identity = Box::pin(identity_server::run(settings, Clock::System)).await;
        let identity = identity.map_err(|why| failed("The identity server", &why))?;

        let mut settings = api_manager::Settings::for_tests(&data.path().join("api-manager"));
        settings.listen = loopback(ports.manager);
        settings.gateway_listen = loopback(ports.gateway);
        settings.gateway_http_listen = None;
        settings.public_url = url(ports.manager);
        settings.issuer = url(ports.manager);
        let manager = Box::pin(api_manager::run(settings, Clock::System)).await;
        let manager = manager.map_err(|why| failed("The API manager", &why))?;
        Ok(Self { identity, manager, backend, ports, _data: data })
    }

    /// Where everything is.
    pub fn places(&self) -> Places {
        Places {
            identity: url(self.ports.identity),
            manager: url(self.ports.manager),
            gateway: url(self.ports.gateway),
            backend: self.backend.url(),
            admin: ("admin".to_owned(), ADMIN_PASSWORD.to_owned()),
        }
    }

    /// Stops everything.
    pub async fn stop(self) {
        self.manager.stop().await;
        self.identity.stop().await;
    }
}

impl Ports {
    /// Tells about a taken port before anything is started.
    fn are_free(self) -> Result<(), Failure> {
        let wanted =
            [(self.identity, "identity server"), (self.manager, "API manager"), (self.gateway, "gateway")];
        for (port, who) in wanted {
            if let Err(why) = TcpListener::bind(loopback(port)) {
                return Err(Failure::new(format!(
                    "Port {port}, on which the {who} of the demo listens, cannot be had: {why}.\n\
                     Stop what listens there, or move all three ports: cargo demo --port-offset 1000"
                )));
            }
        }
        Ok(())
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn url(port: u16) -> String {
    format!("https://localhost:{port}")
}
