//! The SSH server of the demo's host, on loopback. It lets in one key, runs commands in the sandbox with a real `/bin/sh`, and
//! connects to ports of this machine; everything else is refused, as a strict sshd refuses it.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::PublicKey;
use russh::server::{
    Auth, ChannelOpenHandle, Config, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey, run_stream,
};
use russh::{Channel, ChannelId, ChannelOpenFailure, Disconnect, MethodKind, MethodSet};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{DemoError, Sandbox, exec, processes};

/// How long a port of this machine may take to accept.
const CONNECT: Duration = Duration::from_secs(5);
/// How long connections get to end in good order.
const FAREWELL: Duration = Duration::from_secs(2);

/// The server, running. `stop` ends it with all that its commands started; dropping it only closes its port.
#[derive(Debug)]
pub struct Server {
    port: u16,
    sandbox: Arc<Sandbox>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// Starts the server on this port of 127.0.0.1; 0 takes any. The sandbox's ssh_config then leads to it.
    ///
    /// # Errors
    /// When the port cannot be had or the sandbox cannot be read or written.
    pub async fn start(sandbox: Sandbox, port: u16) -> Result<Self, DemoError> {
        let opened = |source| DemoError::Port { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(opened)?;
        let port = listener.local_addr().map_err(opened)?.port();
        let config = Config {
            methods: MethodSet::from([MethodKind::PublicKey].as_slice()),
            keys: vec![sandbox.host_key()?],
            auth_rejection_time: Duration::ZERO,
            nodelay: true,
            inactivity_timeout: None,
            ..Config::default()
        };
        sandbox.listen_on(port)?;
        let client_key = sandbox.client_key()?.public_key().clone();
        let server =
            Self { port, sandbox: Arc::new(sandbox), stop: CancellationToken::new(), tasks: TaskTracker::new() };
        let guest = Guest {
            key: Arc::new(client_key),
            sandbox: server.sandbox.clone(),
            stop: server.stop.clone(),
            tasks: server.tasks.clone(),
        };
        server.tasks.spawn(accept(listener, Arc::new(config), guest));
        Ok(server)
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends connections and commands, then every process that they left running. The numbers of those that would not
    /// end are returned; there should be none.
    pub async fn stop(self) -> Vec<u32> {
        self.stop.cancel();
        self.tasks.close();
        // Whoever does not leave in time is ended with the processes.
        let _ = timeout(FAREWELL, self.tasks.wait()).await;
        processes::end(&self.sandbox.mark()).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept(listener: TcpListener, config: Arc<Config>, guest: Guest) {
    loop {
        let accepted = tokio::select! {
            () = guest.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        // A connection that was lost before it was accepted is the client's affair.
        let Ok((stream, _)) = accepted else { continue };
        guest.tasks.spawn(converse(stream, config.clone(), guest.clone()));
    }
}

async fn converse(stream: TcpStream, config: Arc<Config>, guest: Guest) {
    let stop = guest.stop.clone();
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let started = tokio::select! {
        () = stop.cancelled() => return,
        started = run_stream(config, stream, guest) => started,
    };
    let Ok(session) = started else { return };
    let handle = session.handle();
    tokio::pin!(session);
    tokio::select! {
        _ = &mut session => return,
        () = stop.cancelled() => {}
    }
    let _ = handle.disconnect(Disconnect::ByApplication, "the demo is over".into(), "en".into()).await;
    let _ = timeout(FAREWELL, session).await;
}

/// One client's connection.
#[derive(Clone)]
struct Guest {
    key: Arc<PublicKey>,
    sandbox: Arc<Sandbox>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Guest {
    fn lets_in(&self, key: &PublicKey) -> Auth {
        if key.key_data() == self.key.key_data() { Auth::Accept } else { Auth::reject() }
    }
}

impl Handler for Guest {
    type Error = russh::Error;

    async fn auth_publickey_offered(&mut self, _user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        Ok(self.lets_in(offer.public_key))
    }

    async fn auth_publickey(&mut self, _user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(self.lets_in(key.public_key))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let work = exec::serve(channel, session.handle(), self.sandbox.clone(), self.stop.clone());
        reply.accept().await;
        self.tasks.spawn(work);
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _originator_address: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let ours = matches!(host, "127.0.0.1" | "localhost");
        let port = u16::try_from(port).ok().filter(|_| ours);
        let stop = self.stop.clone();
        // The connection is made outside, so that one slow port does not hold up the other channels.
        self.tasks.spawn(async move {
            let Some(port) = port else {
                return reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
            };
            let connected = timeout(CONNECT, TcpStream::connect((Ipv4Addr::LOCALHOST, port))).await;
            let Ok(Ok(mut stream)) = connected else {
                return reply.reject(ChannelOpenFailure::ConnectFailed).await;
            };
            reply.accept().await;
            let mut channel = channel.into_stream();
            tokio::select! {
                () = stop.cancelled() => {}
                _ = copy_bidirectional(&mut channel, &mut stream) => {}
            }
        });
        Ok(())
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        _value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }
}
