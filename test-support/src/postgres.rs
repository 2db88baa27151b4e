//! One PostgreSQL container for each test process, started when the first test asks for it.

use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use testcontainers::core::{IntoContainerPort, Mount};
use testcontainers::runners::AsyncRunner;
use testcontainers::{GenericImage, ImageExt};

/// Only this process knows the server, and the server lives as long as the process.
const PASSWORD: &str = "test";
const DEFAULT_TAG: &str = "17";
/// What a machine has that cannot pull images and made its own from Debian's packages.
const SPARE_TAG: &str = "15";
const PATIENCE: Duration = Duration::from_secs(90);

/// Where the container listens.
pub(crate) struct Server {
    address: String,
}

impl Server {
    fn url(&self, database: &str) -> String {
        format!("postgres://postgres:{PASSWORD}@{}/{database}", self.address)
    }
}

/// The server of this process. Blocks until it answers a query; where it cannot, the reason is the same for all.
pub(crate) fn server() -> Result<&'static Server, String> {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    SERVER.get_or_init(start).as_ref().map_err(Clone::clone)
}

/// Makes an empty database and returns its URL.
pub(crate) fn new_database() -> Result<String, String> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let server = server()?;
    let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let mut connection = PgConnection::establish(&server.url("postgres")).map_err(|why| why.to_string())?;
    // template0: nobody can be connected to it, which would make this fail.
    connection
        .batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0"))
        .map_err(|why| format!("cannot make the database {name}: {why}"))?;
    Ok(server.url(&name))
}

/// Starts the container on a runtime of its own: the runtimes of tests end with their tests.
fn start() -> Result<Server, String> {
    let (report, started) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let server = match runtime {
            Ok(runtime) => runtime.block_on(start_container()),
            Err(why) => Err(why.to_string()),
        };
        let _ = report.send(server);
    });
    let server = started.recv().map_err(|_| "the thread that starts PostgreSQL has died".to_owned())??;
    wait_until_it_answers(&server)?;
    Ok(server)
}

async fn start_container() -> Result<Server, String> {
    let failed = |why: &dyn std::fmt::Display| format!("PostgreSQL cannot be started with Docker: {why}");
    let mut arguments = vec!["postgres"];
    for setting in ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=400"] {
        arguments.extend(["-c", setting]);
    }
    let container = GenericImage::new("postgres", &tag())
        .with_exposed_port(5432.tcp())
        .with_env_var("POSTGRES_PASSWORD", PASSWORD)
        .with_env_var("PGDATA", "/pgdata")
        .with_mount(Mount::tmpfs_mount("/pgdata"))
        .with_cmd(arguments)
        .start()
        .await
        .map_err(|why| failed(&why))?;
    remove_when_this_process_ends(container.id()).map_err(|why| failed(&why))?;
    let host = container.get_host().await.map_err(|why| failed(&why))?;
    let port = container.get_host_port_ipv4(5432).await.map_err(|why| failed(&why))?;
    // Dropping the handle would remove the container now.
    std::mem::forget(container);
    Ok(Server { address: format!("{host}:{port}") })
}

#[expect(clippy::disallowed_methods, reason = "a test's own switch, no setting of a server")]
pub(crate) fn tag() -> String {
    match std::env::var("POSTGRES_VERSION") {
        Ok(tag) if !tag.is_empty() => tag,
        _ if !has_image(DEFAULT_TAG) && has_image(SPARE_TAG) => SPARE_TAG.to_owned(),
        _ => DEFAULT_TAG.to_owned(),
    }
}

fn has_image(tag: &str) -> bool {
    let mut inspect = quiet("docker");
    inspect.args(["image", "inspect", &format!("postgres:{tag}")]);
    inspect.status().is_ok_and(|status| status.success())
}

/// Statics are never dropped, and a killed process drops nothing: a shell of its own outlives us and cleans up.
fn remove_when_this_process_ends(container: &str) -> std::io::Result<()> {
    use std::os::unix::process::CommandExt;

    let script = r#"while kill -0 "$1" 2>/dev/null; do sleep 1; done; docker rm -f -v "$2""#;
    let mut watchdog = quiet("sh");
    watchdog.args(["-c", script, "sh", &std::process::id().to_string(), container]);
    // In a process group of its own, an interrupt from the terminal does not end it together with the tests.
    watchdog.process_group(0).spawn().map(drop)
}

fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The log says "ready" already for the server that prepares the cluster; an answered query leaves no doubt.
fn wait_until_it_answers(server: &Server) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answered = PgConnection::establish(&server.url("postgres"))
            .map_err(|why| why.to_string())
            .and_then(|mut connection| connection.batch_execute("SELECT 1").map_err(|why| why.to_string()));
        match answered {
            Ok(()) => return Ok(()),
            Err(why) if Instant::now() > deadline => {
                return Err(format!("PostgreSQL does not answer: {why}"));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}
