//! Where the frames of a WebSocket end (RFC 6455, section 5.2): lengths only, payloads pass unread.

/// The longest reason that fits a close frame beside its code (RFC 6455, section 5.5).
const LONGEST_REASON: usize = 123;
const CLOSE: u8 = 0x8;

/// Follows one direction of a WebSocket.
#[derive(Debug, Default)]
pub struct Frames {
    awaits: Awaits,
    masked: bool,
    /// Of the payload, first as far as it is known and then what is left of it.
    length: u64,
    closed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Awaits {
    #[default]
    Opcode,
    Length,
    /// So many more bytes of the length.
    Longer(u8),
    /// So many more bytes of the masking key.
    Mask(u8),
    Payload,
}

impl Frames {
    /// Takes bytes up to the end of the frame that they are in, and returns how many these were.
    pub fn advance(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        for byte in bytes {
            if self.awaits == Awaits::Payload {
                break;
            }
            self.header(*byte);
            taken += 1;
            if self.is_between() {
                return taken;
            }
        }
        if self.awaits == Awaits::Payload {
            let left = bytes.len().saturating_sub(taken);
            let payload = left.min(usize::try_from(self.length).unwrap_or(usize::MAX));
            taken += payload;
            self.length -= u64::try_from(payload).unwrap_or(self.length);
            self.end_if_empty();
        }
        taken
    }

    /// Takes all of the bytes.
    pub fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = self.advance(bytes);
            bytes = bytes.get(taken..).unwrap_or_default();
        }
    }

    /// How many of the bytes belong to the frame that has begun; does not take them.
    #[must_use]
    pub fn rest_of_frame(&self, bytes: &[u8]) -> usize {
        if self.is_between() {
            return 0;
        }
        Self { ..*self }.advance(bytes)
    }

    /// Whether no frame has begun that has not ended.
    #[must_use]
    pub fn is_between(&self) -> bool {
        self.awaits == Awaits::Opcode
    }

    /// Whether a close frame came by, after which no other frame may (RFC 6455, section 5.5.1).
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    fn header(&mut self, byte: u8) {
        match self.awaits {
            Awaits::Opcode => {
                self.closed |= byte & 0x0f == CLOSE;
                self.awaits = Awaits::Length;
            }
            Awaits::Length => {
                self.masked = byte & 0x80 != 0;
                self.length = 0;
                match byte & 0x7f {
                    126 => self.awaits = Awaits::Longer(2),
                    127 => self.awaits = Awaits::Longer(8),
                    length => {
                        self.length = length.into();
                        self.measured();
                    }
                }
            }
            Awaits::Longer(left) => {
                self.length = self.length << 8 | u64::from(byte);
                match left {
                    ..=1 => self.measured(),
                    left => self.awaits = Awaits::Longer(left - 1),
                }
            }
            Awaits::Mask(left) => match left {
                ..=1 => self.payload(),
                left => self.awaits = Awaits::Mask(left - 1),
            },
            Awaits::Payload => {}
        }
    }

    fn measured(&mut self) {
        if self.masked {
            self.awaits = Awaits::Mask(4);
        } else {
            self.payload();
        }
    }

    fn payload(&mut self) {
        self.awaits = Awaits::Payload;
        self.end_if_empty();
    }

    fn end_if_empty(&mut self) {
        if self.length == 0 {
            self.awaits = Awaits::Opcode;
        }
    }
}

/// A close frame as servers send them, without a mask.
#[must_use]
pub fn close(code: u16, reason: &str) -> Vec<u8> {
    let cut = reason.len().min(LONGEST_REASON);
    let reason = reason.get(..cut).unwrap_or_default();
    let length = u8::try_from(reason.len() + 2).unwrap_or(2);
    let mut frame = vec![0x80 | CLOSE, length];
    frame.extend_from_slice(&code.to_be_bytes());
    frame.extend_from_slice(reason.as_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: usize, mask: bool) -> Vec<u8> {
        let bit = if mask { 0x80 } else { 0 };
        let mut frame = vec![0x82];
        match length {
            0..=125 => frame.push(bit | length as u8),
            126..=65_535 => {
                frame.push(bit | 126);
                frame.extend_from_slice(&(length as u16).to_be_bytes());
            }
            _ => {
                frame.push(bit | 127);
                frame.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        frame.extend(vec![7; length + if mask { 4 } else { 0 }]);
        frame
    }

    #[test]
    fn ends_are_found_at_every_length_however_the_bytes_are_cut() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536] {
            for mask in [false, true] {
                let frame = frame(length, mask);
                for piece in [1, 2, 3, 7, 1_024, frame.len()] {
                    let mut frames = Frames::default();
                    let mut seen = 0;
                    for bytes in frame.chunks(piece) {
                        frames.pass(bytes);
                        seen += bytes.len();
                        assert_eq!(
                            frames.is_between(),
                            seen == frame.len(),
                            "{length} {mask} {piece} {seen}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_left_of_a_frame_is_counted_up_to_its_end_and_not_taken() {
        let mut frames = Frames::default();
        let two = [frame(300, false), frame(5, false)].concat();
        assert_eq!(frames.rest_of_frame(&two), 0);
        frames.pass(&two[..2]);
        assert_eq!(frames.rest_of_frame(&two[2..]), 302);
        assert_eq!(frames.advance(&two[2..]), 302);
        assert!(frames.is_between());
    }

    #[test]
    fn a_close_frame_is_noticed_and_made() {
        let mut frames = Frames::default();
        frames.pass(&frame(9, false));
        assert!(!frames.is_closed());
        let made = close(1008, "gone");
        assert_eq!(made, b"\x88\x06\x03\xf0gone");
        frames.pass(&made);
        assert!(frames.is_closed() && frames.is_between());
        assert_eq!(close(1008, &"x".repeat(200)).len(), 2 + 125);
    }
}
