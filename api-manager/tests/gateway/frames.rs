//! HTTP/2 as frames, for peers that do not play by the rules (RFC 9113, section 4.1).
#![allow(dead_code, reason = "a vocabulary: the tests need not use every word of it")]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::World;
use super::backend::Backend;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// The other end of a connection.
pub struct Peer {
    pub stream: TcpStream,
}

impl Peer {
    /// Sends a frame; that the other side has closed is for the test to find out.
    pub async fn sends(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let _ = self.stream.write_all(&frame(kind, flags, stream, payload)).await;
    }

    /// The next frame; `None` when the other side closes.
    pub async fn reads(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// Reads up to a frame of this kind, and returns its stream; 0 where the other side closes.
    pub async fn reads_until(&mut self, kind: u8) -> u32 {
        while let Some(frame) = self.reads().await {
            if frame.kind == SETTINGS && frame.flags & ACK == 0 {
                self.sends(SETTINGS, ACK, 0, &[]).await;
            }
            if frame.kind == kind {
                return frame.stream;
            }
        }
        0
    }

    /// Ends the connection without losing what was sent: closed with something unread, the kernel would reset it, and
    /// a reset overtakes what the other side has not read (RFC 9112, section 9.6).
    pub async fn leaves(mut self) {
        let _ = self.stream.shutdown().await;
        while self.reads().await.is_some() {}
    }

    /// Whether the other side ends the connection in this time; its GOAWAY counts.
    pub async fn is_sent_away_within(&mut self, limit: Duration) -> Option<u32> {
        let gone = async {
            while let Some(frame) = self.reads().await {
                if let (GOAWAY, Some(code)) = (frame.kind, frame.payload.get(4..8)) {
                    return u32::from_be_bytes(code.try_into().unwrap());
                }
            }
            u32::MAX
        };
        timeout(limit, gone).await.ok()
    }
}

impl World {
    /// A connection to the gateway in HTTP/2 that has just begun.
    pub async fn speaks_http2(&self) -> Peer {
        self.speaks_http2_with(&[]).await
    }

    /// The same with these settings.
    pub async fn speaks_http2_with(&self, settings: &[u8]) -> Peer {
        let mut stream = self.connects().await;
        stream.write_all(PREFACE).await.unwrap();
        let mut peer = Peer { stream };
        peer.sends(SETTINGS, 0, 0, settings).await;
        peer
    }
}

impl Backend {
    /// Greets each connection in HTTP/2 and leaves the rest to `talk`, which hears how many there were before. The hits
    /// are the connections.
    pub async fn frames<F, R>(talk: F) -> Self
    where
        F: Fn(Peer, usize) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let (listener, backend) = Self::bind().await;
        let hits = Arc::clone(&backend.hits);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let before = hits.fetch_add(1, Ordering::SeqCst);
                let talk = talk.clone();
                tokio::spawn(async move {
                    let mut preface = [0; PREFACE.len()];
                    if stream.read_exact(&mut preface).await.is_err() {
                        return;
                    }
                    let mut peer = Peer { stream };
                    peer.sends(SETTINGS, 0, 0, &[]).await;
                    talk(peer, before).await;
                });
            }
        });
        backend
    }
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// The payload of a GOAWAY.
pub fn goaway(last_stream: u32, code: u32) -> Vec<u8> {
    [last_stream.to_be_bytes(), code.to_be_bytes()].concat()
}

/// One setting.
pub fn setting(id: u16, value: u32) -> Vec<u8> {
    [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

/// A header block without compression (RFC 7541, section 6.2.2), for names and values shorter than 127 bytes.
pub fn header_block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// The header block of a GET to the gateway.
pub fn get(path: &str, token: &str) -> Vec<u8> {
    let bearer = format!("Bearer {token}");
    let mut fields = vec![(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", path)];
    if !token.is_empty() {
        fields.push(("authorization", &bearer));
    }
    header_block(&fields)
}
