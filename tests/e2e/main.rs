//! Clusters of real `trellis` processes, driven by psql, `tokio-postgres`, Python drivers and bare sockets.
//!
//! | module | shows |
//! |---|---|
//! | `airports` | a real data set, loaded by psql on one node, read on the others |
//! | `convergence` | concurrent writes, crashes, late joiners and partitions end in equal tables |
//! | `feeds` | LISTEN and NOTIFY, across nodes |
//! | `clients` | clients that stop listening, dribble or wait keep nobody from writing |
//! | `batches` | single statements of many sessions, committed together |
//! | `matrix` | programs of the client matrix, which PostgreSQL 15 passes too |
//! | `drivers` | what drivers see of types, tags, errors and transactions |
//! | `protocol` | start-up, portals, pipelines, cancel, message by message |
//! | `bad_input` | malformed frames and garbage datagrams harm nobody but their sender |
//! | `clients` | clients that do not read, dribble or wait for each other keep nobody from writing |
//! | `large` | transactions of any size take little memory |
//! | `authentication` | passwords, certificates, and roles that all nodes know |
//! | `tls` | encrypted connections, and what is refused on the way to one |
//! | `process` | the command line: start, stop, refusals |

mod airports;
mod authentication;
mod bad_input;
mod batches;
mod clients;
mod convergence;
mod drivers;
mod feeds;
mod large;
mod matrix;
mod process;
mod protocol;
mod tls;
