//! An actix-web server that reads what is posted and answers `hello`: what it costs to be asked at all.

use std::process::Command;

use actix_web::{App, HttpServer, web};
use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod};

use crate::process::{Process, free_addresses};
use crate::run::Run;

/// The server, in a process of its own with one worker.
#[derive(Debug)]
pub struct Hello {
    /// What is accounted.
    pub process: Process,
    /// Scheme, host and port.
    pub origin: String,
}

impl Hello {
    /// Starts it with or without TLS.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start(run: &Run, scheme: &str) -> Self {
        let [address] = free_addresses();
        let program = std::env::current_exe().expect("this program is somewhere");
        let mut command = Command::new(program);
        command.arg("--hello").arg(address.to_string());
        if scheme == "https" {
            command.arg(&run.certificate.certificate).arg(&run.certificate.key);
        }
        let mut process = Process::start(&format!("hello-{scheme}"), &mut command, run.work());
        process.listens(address).await;
        Self { process, origin: format!("{scheme}://{address}") }
    }
}

/// Serves it until the process ends.
///
/// # Panics
/// The address is taken, or the files hold no certificate and key.
pub async fn serve(address: &str, files: &[String]) {
    let app = || App::new().default_service(web::to(async |_posted: web::Bytes| "hello"));
    let server = HttpServer::new(app).workers(1);
    let server = match files {
        [certificate, key] => {
            let mut tls = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())
                .expect("OpenSSL makes settings");
            tls.set_certificate_chain_file(certificate).expect("a certificate");
            tls.set_private_key_file(key, SslFiletype::PEM).expect("its key");
            server.bind_openssl(address, tls).expect("the address is free")
        }
        _ => server.bind(address).expect("the address is free"),
    };
    server.run().await.expect("the server runs");
}
