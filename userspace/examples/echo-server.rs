// SPDX-License-Identifier: GPL-2.0-only

//! A TLS echo server with the standard library alone, one thread per connection. Here each
//! accepted connection is asked to do its handshake, and the answer is that of the call.
//!
//!     rustc -O echo-server.rs
//!     keyblobd --cert cert.pem --key key.pem &
//!     ./echo-server 8443

use std::env::args;
use std::io::{copy, Error, Result};
use std::mem::size_of_val;
use std::net::{TcpListener, TcpStream};
use std::os::unix::io::AsRawFd;
use std::thread::spawn;

const IPPROTO_TCP: i32 = 6;
const TCP_ULP: i32 = 31;
const SOL_KEYBLOB: i32 = 0x4b42;
const KEYBLOB_HANDSHAKE: i32 = 7;

// The head of struct keyblob_handshake, whose third word is role: KEYBLOB_ROLE_SERVER.
const SERVER: [u16; 8] = [0, 0, 2, 0, 0, 0, 0, 0];

// Of libc, which std links in any case.
extern "C" {
    fn setsockopt(fd: i32, level: i32, option: i32, value: *const u8, len: u32) -> i32;
}

fn set<T>(stream: &TcpStream, level: i32, option: i32, value: &T) -> Result<()> {
    let (at, len) = (value as *const T as *const u8, size_of_val(value) as u32);
    // SAFETY: the kernel reads len bytes, all of them value's.
    match unsafe { setsockopt(stream.as_raw_fd(), level, option, at, len) } {
        0 => Ok(()),
        _ => Err(Error::last_os_error()),
    }
}

fn echo(stream: &TcpStream) -> Result<u64> {
    set(stream, IPPROTO_TCP, TCP_ULP, b"keyblob")?;
    set(stream, SOL_KEYBLOB, KEYBLOB_HANDSHAKE, &SERVER)?;
    copy(&mut &*stream, &mut &*stream)
}

fn why(error: Error) {
    match error.raw_os_error() {
        Some(2) => eprintln!("no TLS: try \"modprobe keyblob\""),
        Some(3) => eprintln!("no agent: is keyblobd running?"),
        _ => eprintln!("{error}"),
    }
}

fn main() -> Result<()> {
    let port = args().nth(1).and_then(|arg| arg.parse().ok());
    let address = ("::", port.expect("usage: echo-server PORT")); // and IPv4
    for stream in TcpListener::bind(address)?.incoming().flatten() {
        spawn(move || echo(&stream).map_err(why));
    }
    Ok(())
}
