//! Requests that are all sent once, in order: what warms a cache. Several are under way on each of many connections, because
//! what is looked up waits for others to be looked up with.

use std::io::Result;
use std::time::Duration;

use super::connection::Origin;
use super::lanes::{Lanes, SILENCE};

/// Connections; that many are looked up together.
const CONNECTIONS: usize = 128;
/// Requests under way on a connection.
const DEPTH: usize = 8;

/// Sends `request(0)` to `request(count - 1)`, each exactly once, and says how many were answered with neither 2xx nor 3xx. They
/// begin in this order, up to what is under way at once.
///
/// # Panics
/// The origin is none, the machine has no more descriptors, or `request` panics.
pub async fn each_once(
    origin: &str,
    count: usize,
    request: impl Fn(usize) -> Vec<u8> + Send + 'static,
) -> usize {
    let origin = Origin::parse(origin);
    let sent = tokio::task::spawn_blocking(move || answered(&origin, count, request));
    count - sent.await.expect("the load does not panic").expect("the machine waits for connections")
}

fn answered(origin: &Origin, count: usize, request: impl Fn(usize) -> Vec<u8>) -> Result<usize> {
    let mut lanes = Lanes::open(origin, CONNECTIONS.min(count.div_ceil(DEPTH)))?;
    let (mut next, mut fine) = (0, 0);
    loop {
        while lanes.has_room() && next < count {
            let group = next..count.min(next + DEPTH);
            next = group.end;
            let (many, requests) = (group.len(), group.flat_map(&request).collect::<Vec<u8>>());
            // Not sent again: what failed may have been looked up all the same.
            if lanes.send(&requests, many, ()).is_err() {
                break;
            }
        }
        if next >= count && lanes.is_idle() {
            return Ok(fine);
        }
        let is_stuck = !lanes.has_room() || next >= count;
        let patience = if is_stuck { SILENCE } else { Duration::ZERO };
        let came = lanes.wait(patience, |(), answer| fine += answer.unwrap_or_default())?;
        if !came && is_stuck {
            let _ = lanes.give_up();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::load::get;

    /// Notes each request's path and answers 200, but 401 where it ends in `7`.
    fn server() -> (String, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let notes = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, notes) = (stream.unwrap(), Arc::clone(&notes));
                std::thread::spawn(move || {
                    let mut answers = stream.try_clone().unwrap();
                    for line in BufReader::new(stream).lines().map_while(Result::ok) {
                        let Some(path) = line.strip_prefix("GET ") else { continue };
                        let path = path.trim_end_matches(" HTTP/1.1");
                        notes.lock().unwrap().push(path.to_owned());
                        let status = if path.ends_with('7') { "401 No" } else { "200 OK" };
                        let _ = write!(answers, "HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok");
                    }
                });
            }
        });
        (origin, seen)
    }

    #[tokio::test]
    async fn each_request_is_sent_once_and_refusals_are_counted() {
        let (origin, seen) = server();
        let failed = each_once(&origin, 1_003, |place| get(&format!("/{place}"), "x", "t")).await;
        assert_eq!(failed, (0..1_003).filter(|place| place % 10 == 7).count());
        let mut seen: Vec<usize> =
            seen.lock().unwrap().iter().map(|path| path[1..].parse().unwrap()).collect();
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..1_003));
    }

    #[tokio::test]
    async fn what_nobody_answers_has_failed() {
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(each_once(&format!("http://{nobody}"), 20, |_| get("/", "x", "t")).await, 20);
    }
}
