//! Private keys at rest: sealed with a master key, in files that only we can read.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};
use shared_claims::secret::{NoRandomness, Secret, random};
use zeroize::Zeroizing;

/// The only layout there is: this byte, nonce, ciphertext, tag.
const LAYOUT: u8 = 1;
const NONCE: usize = 12;
const TAG: usize = 16;
const FILE: &str = "master.key";

/// The key that seals all others; wiped when dropped, never printed.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

/// Why something could not be sealed, opened or kept.
#[derive(Debug, thiserror::Error)]
pub enum SealingError {
    /// The configured master key has another form.
    #[error("the master key is not 32 bytes in hexadecimal or base64; make one with `openssl rand -hex 32`")]
    NotAKey,
    /// The file of the master key holds something else.
    #[error("{} holds no master key; restore it from a backup, or nothing sealed will open", .0.display())]
    DamagedKeyFile(PathBuf),
    /// Others can read the file of the master key.
    #[error("{path} can be read by others (mode {mode:o}); run `chmod 600 {path}`, and ask who has read it",
        path = .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// What was sealed does not open.
    #[error(
        "{0} cannot be opened: it was sealed with another master key or for another purpose, or is damaged"
    )]
    NotOurs(String),
    /// The system refused to read or write.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// OpenSSL failed to seal.
    #[error("sealing failed: {0}")]
    OpenSsl(#[from] openssl::error::ErrorStack),
}

impl MasterKey {
    /// The key given by the operator; else that of `master.key` in the data directory, which is made when
    /// absent.
    ///
    /// # Errors
    /// The key has the wrong form, its file is open to others, or the file cannot be read or made.
    pub fn load_or_create(data_dir: &Path, given: Option<&Secret>) -> Result<Self, SealingError> {
        if let Some(given) = given {
            // Exposed to become the key itself.
            return Self::parse(given.expose()).ok_or(SealingError::NotAKey);
        }
        let path = data_dir.join(FILE);
        if let Some(key) = Self::read(&path)? {
            return Ok(key);
        }
        private_dir(data_dir)?;
        let key = Self(Zeroizing::new(random()?));
        let text = Zeroizing::new(hex(key.0.as_slice()) + "\n");
        // A link, not a rename: it refuses to take the place of a key that another process made meanwhile.
        let placed = write_then(&path, text.as_bytes(), |temporary| std::fs::hard_link(temporary, &path));
        match placed {
            Ok(()) => Ok(key),
            Err(SealingError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
                Self::read(&path)?.ok_or(SealingError::DamagedKeyFile(path))
            }
            Err(why) => Err(why),
        }
    }

    fn read(path: &Path) -> Result<Option<Self>, SealingError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(io_error(path)(why)),
        };
        // Of the open file, so that what is checked is what is read.
        let mode = file.metadata().map_err(io_error(path))?.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(SealingError::Exposed { path: path.to_owned(), mode });
        }
        let text = Zeroizing::new(io::read_to_string(file).map_err(io_error(path))?);
        Self::parse(&text).map(Some).ok_or_else(|| SealingError::DamagedKeyFile(path.to_owned()))
    }

    /// 64 hexadecimal digits, or 32 bytes in either alphabet of base64, padded or not.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let bytes = Zeroizing::new(if text.len() == 64 {
            unhex(text)?
        } else {
            let bare = text.trim_end_matches('=');
            STANDARD_NO_PAD.decode(bare).or_else(|_| URL_SAFE_NO_PAD.decode(bare)).ok()?
        });
        Some(Self(Zeroizing::new(bytes.as_slice().try_into().ok()?)))
    }

    /// Seals `plain` for the purpose `context`; it opens for the same purpose only (AES-256-GCM, NIST SP
    /// 800-38D).
    ///
    /// # Errors
    /// No random bytes, or OpenSSL failed.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>, SealingError> {
        let nonce = random::<NONCE>()?;
        let mut tag = [0; TAG];
        let aad = context.as_bytes();
        let sealed = encrypt_aead(Cipher::aes_256_gcm(), &*self.0, Some(&nonce), aad, plain, &mut tag)?;
        Ok([&[LAYOUT], nonce.as_slice(), &sealed, &tag].concat())
    }

    /// Opens what [`MasterKey::seal`] made for the same purpose.
    ///
    /// # Errors
    /// [`SealingError::NotOurs`], whatever the reason.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealingError> {
        self.try_open(context, sealed).ok_or_else(|| SealingError::NotOurs(context.to_owned()))
    }

    fn try_open(&self, context: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (&LAYOUT, rest) = sealed.split_first()? else { return None };
        let (nonce, rest) = rest.split_at_checked(NONCE)?;
        let (sealed, tag) = rest.split_at_checked(rest.len().checked_sub(TAG)?)?;
        let opened =
            decrypt_aead(Cipher::aes_256_gcm(), &*self.0, Some(nonce), context.as_bytes(), sealed, tag);
        opened.ok().map(Zeroizing::new)
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// Makes a directory, and its parents, that only we can enter; one that exists is left as it is.
///
/// # Errors
/// The directory cannot be made, or the path names something else.
pub fn private_dir(path: &Path) -> Result<(), SealingError> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_error(path))?;
    // Whatever the mask and default access lists made of it.
    std::fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(io_error(path))
}

/// Writes a file that only we can read: all of it or, after a crash, none of it.
///
/// # Errors
/// The system refused.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), SealingError> {
    write_then(path, bytes, |temporary| std::fs::rename(temporary, path))
}

/// Writes to a temporary file beside `path`, and has `place` put it there.
fn write_then(
    path: &Path,
    bytes: &[u8],
    place: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), SealingError> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = dir.join(format!(".{name}.{}.new", hex(&random::<8>()?)));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        place(&temporary)
    })();
    // Still there after a failure, or where it was linked.
    let _gone = std::fs::remove_file(&temporary);
    written.map_err(io_error(path))?;
    // The name lives in the directory, which has to reach the disk as well.
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io_error(dir))
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> SealingError + use<> {
    let path = path.to_owned();
    move |source| SealingError::Io { path, source }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    digits?
        .chunks_exact(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit).try_into().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> MasterKey {
        MasterKey(Zeroizing::new(random().unwrap()))
    }

    #[test]
    fn what_is_sealed_opens_for_the_same_purpose_only() {
        let key = key();
        let sealed = key.seal("signing key 1", b"secret").unwrap();
        assert_eq!(key.open("signing key 1", &sealed).unwrap().as_slice(), b"secret");
        assert!(key.open("signing key 2", &sealed).is_err());
        assert!(self::key().open("signing key 1", &sealed).is_err());
        assert_ne!(sealed, key.seal("signing key 1", b"secret").unwrap());
    }

    #[test]
    fn a_changed_or_shortened_byte_is_noticed() {
        let key = key();
        let sealed = key.seal("x", b"secret").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.open("x", &changed).is_err());
            assert!(key.open("x", &sealed[..at]).is_err());
        }
    }

    #[test]
    fn the_made_key_is_private_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("a/b");
        let made = MasterKey::load_or_create(&data, None).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&data), mode(&data.join(FILE))), (0o700, 0o600));
        assert_eq!(MasterKey::load_or_create(&data, None).unwrap().0, made.0);
        assert_eq!(std::fs::read_dir(&data).unwrap().count(), 1);
    }

    #[test]
    fn of_racing_processes_all_get_the_same_key() {
        let dir = tempfile::tempdir().unwrap();
        let keys: Vec<_> = std::thread::scope(|scope| {
            let race = || scope.spawn(|| MasterKey::load_or_create(dir.path(), None).unwrap().0);
            let racing: Vec<_> = (0..8).map(|_| race()).collect();
            racing.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        MasterKey::load_or_create(dir.path(), None).unwrap();
        let path = dir.path().join(FILE);
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let text = MasterKey::load_or_create(dir.path(), None).unwrap_err().to_string();
        assert!(text.contains(&format!("chmod 600 {}", path.display())), "{text}");
    }

    #[test]
    fn a_given_key_reads_from_hexadecimal_and_base64() {
        let bytes: [u8; 32] = random().unwrap();
        for text in [
            hex(&bytes),
            hex(&bytes).to_uppercase(),
            STANDARD_NO_PAD.encode(bytes) + "=",
            URL_SAFE_NO_PAD.encode(bytes),
        ] {
            let key = MasterKey::load_or_create(Path::new("/nowhere"), Some(&Secret::new(text))).unwrap();
            assert_eq!(*key.0, bytes);
        }
        for text in ["", "abc", &"g".repeat(64), &hex(&bytes)[..62]] {
            assert!(MasterKey::load_or_create(Path::new("/nowhere"), Some(&Secret::new(text))).is_err());
        }
    }

    #[test]
    fn a_file_is_replaced_whole_and_a_directory_of_others_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert!(private_dir(&path).is_err());
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        private_dir(dir.path()).unwrap();
        assert_eq!(std::fs::metadata(dir.path()).unwrap().mode() & 0o777, 0o755);
    }
}
