//! Many connections that one thread serves: it is awake only when there is something to send or to read, and takes as little as
//! it can of the processor that it shares with the server. A thread for each connection would stand in the server's way, and
//! in that of the other threads: what is measured then is how these wait for each other. While a connection is opened anew the
//! others wait; of servers that keep theirs alive none has to be.

use std::collections::VecDeque;
use std::io::{ErrorKind, Result};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;

use super::connection::{Connection, Origin};

/// How long nothing may come of anything that is under way.
pub(super) const SILENCE: Duration = Duration::from_secs(30);
/// Answers that are read before it is looked for what has become due.
const AT_ONCE: usize = 8;

/// Connections to one server, each with at most one thing under way: requests that were sent together, and a mark `M` of
/// whoever sent them.
pub(super) struct Lanes<M> {
    epoll: Epoll,
    lanes: Vec<Lane<M>>,
    /// Those with nothing under way; the longest unused one goes first.
    free: VecDeque<usize>,
}

struct Lane<M> {
    connection: Connection,
    under_way: Option<M>,
}

impl<M> Lanes<M> {
    /// Connects them all, at least one. Where that fails it is tried again for what is sent first, which will say so.
    pub(super) fn open(origin: &Origin, count: usize) -> Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let count = count.max(1);
        let lane = |_| Lane { connection: Connection::new(origin), under_way: None };
        let mut lanes = Self { epoll, lanes: (0..count).map(lane).collect(), free: (0..count).collect() };
        // After the first failure no other one is waited for.
        let _ = (0..count).try_for_each(|place| lanes.connect(place));
        Ok(lanes)
    }

    /// Whether something can be sent.
    pub(super) fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// Whether every answer is there.
    pub(super) fn is_idle(&self) -> bool {
        self.free.len() == self.lanes.len()
    }

    /// Sends that many requests at once. After an error nothing is under way of them.
    pub(super) fn send(&mut self, requests: &[u8], count: usize, mark: M) -> Result<()> {
        let place = self.free.pop_front().ok_or(ErrorKind::WouldBlock)?;
        let sent = self.send_by(place, requests, count);
        match self.lanes.get_mut(place) {
            Some(lane) if sent.is_ok() => lane.under_way = Some(mark),
            _ => self.free.push_back(place),
        }
        sent
    }

    fn send_by(&mut self, place: usize, requests: &[u8], count: usize) -> Result<()> {
        if self.lanes.get(place).is_some_and(|lane| lane.connection.fd().is_none()) {
            self.connect(place)?;
        }
        self.lanes.get_mut(place).map_or(Ok(()), |lane| lane.connection.send(requests, count))
    }

    /// Waits that long for answers and tells of those that are whole: the mark, and how many were 2xx or 3xx. `false` where
    /// it waited to the end.
    pub(super) fn wait(
        &mut self,
        at_most: Duration,
        mut answered: impl FnMut(M, Result<usize>),
    ) -> Result<bool> {
        let mut events = [EpollEvent::empty(); AT_ONCE];
        let mut came = self.epoll.wait(&mut events, EpollTimeout::ZERO)?;
        if came == 0 {
            // Finer than the milliseconds of epoll.
            let mut all = [PollFd::new(self.epoll.0.as_fd(), PollFlags::POLLIN)];
            match ppoll(&mut all, Some(TimeSpec::from_duration(at_most)), None) {
                Ok(0) => return Ok(false),
                Ok(_) => came = self.epoll.wait(&mut events, EpollTimeout::ZERO)?,
                Err(Errno::EINTR) => {}
                Err(why) => return Err(why.into()),
            }
        }
        for event in events.iter().take(came) {
            self.receive(usize::try_from(event.data()).unwrap_or(usize::MAX), &mut answered);
        }
        Ok(true)
    }

    fn receive(&mut self, place: usize, answered: &mut impl FnMut(M, Result<usize>)) {
        let Some(lane) = self.lanes.get_mut(place) else { return };
        let Some(mark) = lane.under_way.take() else {
            // Nothing was asked: the server sends session tickets (RFC 8446, section 4.6.1), or it closes the connection.
            if !matches!(lane.connection.receive(), Ok(None)) {
                lane.connection.close();
            }
            return;
        };
        match lane.connection.receive() {
            Ok(None) => lane.under_way = Some(mark),
            Ok(Some(fine)) => {
                self.free.push_back(place);
                answered(mark, Ok(fine));
            }
            Err(why) => {
                self.free.push_back(place);
                answered(mark, Err(why));
            }
        }
    }

    /// Closes every connection that is not answered, and says how many these are.
    pub(super) fn give_up(&mut self) -> usize {
        let before = self.free.len();
        for (place, lane) in self.lanes.iter_mut().enumerate() {
            if lane.under_way.take().is_some() {
                lane.connection.close();
                self.free.push_back(place);
            }
        }
        self.free.len() - before
    }

    fn connect(&mut self, place: usize) -> Result<()> {
        let Some(lane) = self.lanes.get_mut(place) else { return Ok(()) };
        lane.connection.open()?;
        let event = EpollEvent::new(EpollFlags::EPOLLIN, u64::try_from(place).unwrap_or(u64::MAX));
        let added = lane.connection.fd().map_or(Ok(()), |fd| self.epoll.add(fd, event));
        if added.is_err() {
            lane.connection.close();
        }
        Ok(added?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::mpsc;

    use e2e::idp::{Idp, KeyKind};
    use openssl::ssl::{SslAcceptor, SslMethod};
    use openssl::x509::X509;
    use shared_claims::clock::Clock;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// A server that serves one connection after the other, each with a function of its own.
    fn server(serve: Vec<fn(TcpStream)>) -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = Origin::parse(&format!("http://{}", listener.local_addr().unwrap()));
        std::thread::spawn(move || {
            for serve in serve {
                serve(listener.accept().unwrap().0);
            }
        });
        origin
    }

    fn answers(mut stream: impl Read + Write) {
        let mut buffer = [0; 4_096];
        while stream.read(&mut buffer).is_ok_and(|read| read > 0) {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        }
    }

    fn is_silent(mut stream: TcpStream) {
        let _ = stream.read_to_end(&mut Vec::new());
    }

    /// Waits for one answer.
    fn answer(lanes: &mut Lanes<u8>) -> (u8, Result<usize>) {
        let mut answered = None;
        while answered.is_none() {
            assert!(lanes.wait(PATIENCE, |mark, fine| answered = Some((mark, fine))).unwrap());
        }
        answered.unwrap()
    }

    #[test]
    fn an_answer_comes_with_the_mark_of_its_request() {
        let origin = server(vec![answers]);
        let mut lanes = Lanes::open(&origin, 1).unwrap();
        for mark in [1, 2] {
            lanes.send(b"GET / HTTP/1.1\r\n\r\n", 1, mark).unwrap();
            assert!(!lanes.has_room() && !lanes.is_idle());
            let (whose, fine) = answer(&mut lanes);
            assert_eq!((whose, fine.unwrap()), (mark, 1));
            assert!(lanes.has_room() && lanes.is_idle());
        }
    }

    #[test]
    fn a_connection_that_the_server_closed_is_opened_anew() {
        let origin = server(vec![drop, answers]);
        let mut lanes = Lanes::open(&origin, 1).unwrap();
        // The end of a connection with nothing under way is nobody's answer.
        assert!(lanes.wait(PATIENCE, |_, _| panic!("nothing was asked")).unwrap());
        lanes.send(b"GET / HTTP/1.1\r\n\r\n", 1, 7).unwrap();
        assert_eq!(answer(&mut lanes).1.unwrap(), 1);
    }

    #[test]
    fn a_connection_over_tls_that_is_sent_tickets_stays() {
        let idp = Idp::with_key("https://localhost", "tls", KeyKind::P256, &Clock::System);
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        acceptor.set_private_key(idp.key()).unwrap();
        acceptor.set_certificate(&X509::from_pem(idp.certificate().as_bytes()).unwrap()).unwrap();
        let (acceptor, listener) = (acceptor.build(), TcpListener::bind("127.0.0.1:0").unwrap());
        let origin = Origin::parse(&format!("https://{}", listener.local_addr().unwrap()));
        let (seen, shown) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                seen.send(()).unwrap();
                answers(acceptor.accept(stream.unwrap()).unwrap());
            }
        });
        let mut lanes = Lanes::open(&origin, 1).unwrap();
        // The tickets.
        assert!(lanes.wait(PATIENCE, |_, _| panic!("nothing was asked")).unwrap());
        for mark in [1, 2] {
            lanes.send(b"GET / HTTP/1.1\r\n\r\n", 1, mark).unwrap();
            assert_eq!(answer(&mut lanes).1.unwrap(), 1);
        }
        assert_eq!(shown.try_iter().count(), 1);
    }

    #[test]
    fn a_connection_that_breaks_before_its_answer_is_an_error() {
        let origin = server(vec![|mut stream| {
            let _ = stream.read(&mut [0; 4_096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
        }]);
        let mut lanes = Lanes::open(&origin, 1).unwrap();
        lanes.send(b"GET / HTTP/1.1\r\n\r\n", 1, 7).unwrap();
        assert_eq!(answer(&mut lanes).1.unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert!(lanes.is_idle());
    }

    #[test]
    fn who_is_silent_is_given_up() {
        let origin = server(vec![is_silent, answers]);
        let mut lanes = Lanes::open(&origin, 1).unwrap();
        lanes.send(b"GET / HTTP/1.1\r\n\r\n", 1, 7).unwrap();
        assert!(!lanes.wait(Duration::from_millis(10), |_, _| panic!("nobody answers")).unwrap());
        assert_eq!((lanes.give_up(), lanes.give_up()), (1, 0));
        lanes.send(b"GET / HTTP/1.1\r\n\r\n", 1, 8).unwrap();
        assert_eq!(answer(&mut lanes).0, 8);
    }
}
