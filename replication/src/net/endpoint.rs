//! The UDP endpoint and its transport settings.
//!
//! # Bounds
//! Idle connections close after [`IDLE_MS`]. A stream holds at most [`STREAM_WINDOW_BYTES`] unread, a connection
//! [`CONNECTION_WINDOW_BYTES`]; then the sender waits. Datagrams wait in at most [`DATAGRAM_BUFFER_BYTES`], oldest
//! dropped: a stale probe is better lost than late.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::congestion::CubicConfig;
use quinn::{Endpoint, EndpointConfig, TokioRuntime, TransportConfig, VarInt};

use super::NetError;
use super::tls::tls_configs;

/// After this long without a packet a connection is closed (ms).
const IDLE_MS: u32 = 30_000;
/// After this long without a packet one is sent: cheaper than the handshake that the next probe would need.
const KEEP_ALIVE: Duration = Duration::from_secs(12);
/// Unread bytes of one stream.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
/// Unread bytes of one connection.
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// Bytes sent on one connection that the peer has not acknowledged.
const SEND_WINDOW_BYTES: u64 = 2 << 20;
/// Bytes sent before the first acknowledgement: a transaction of some hundred rows, so that it does not take several
/// round trips on a connection that has been quiet.
const INITIAL_WINDOW_BYTES: u64 = 96 << 10;
/// Bytes of datagrams that wait to be sent on, or read from, one connection.
const DATAGRAM_BUFFER_BYTES: usize = 64 << 10;
/// Streams a peer may have open: its live and its repair lane.
pub(super) const UNI_STREAMS_MAX: u8 = 2;

/// Binds the endpoint.
pub(super) fn bind(listen: SocketAddr) -> Result<Endpoint, NetError> {
    let socket = UdpSocket::bind(listen).map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => NetError::AddressInUse(listen),
        _ => NetError::Listen { address: listen, source },
    })?;
    let tls = tls_configs()?;
    let transport = Arc::new(transport());
    let mut server = quinn::ServerConfig::with_crypto(Arc::new(tls.server));
    server.transport_config(Arc::clone(&transport));
    let mut client = quinn::ClientConfig::new(Arc::new(tls.client));
    client.transport_config(transport);
    let mut endpoint =
        Endpoint::new(EndpointConfig::default(), Some(server), socket, Arc::new(TokioRuntime))
            .map_err(|source| NetError::Listen { address: listen, source })?;
    endpoint.set_default_client_config(client);
    Ok(endpoint)
}

fn transport() -> TransportConfig {
    let mut congestion = CubicConfig::default();
    congestion.initial_window(INITIAL_WINDOW_BYTES);
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(Some(VarInt::from_u32(IDLE_MS).into()))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .initial_rtt(Duration::from_millis(100))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES))
        .send_window(SEND_WINDOW_BYTES)
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from(UNI_STREAMS_MAX))
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER_BYTES))
        .datagram_send_buffer_size(DATAGRAM_BUFFER_BYTES)
        .congestion_controller_factory(Arc::new(congestion));
    transport
}
