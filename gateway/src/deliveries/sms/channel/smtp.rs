//! A provider that makes messages of mail (RFC 5321). The session is spoken step by step, because only the step that
//! hands over the text can leave its outcome unknown.

use std::{fs, sync::Arc};

use anyhow::Context;
use async_trait::async_trait;
use lettre::{
    Message as Mail,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{Certificate, CertificateStore, SmtpConnection, TlsParameters},
        commands,
        extension::ClientId,
    },
};
use megamind_conf::{SmtpSms, SmtpTls};

use super::{
    Channel, Message, Sending,
    pattern::{Place, fill},
};

pub(super) struct SmtpChannel {
    inner: Arc<Inner>,
}

struct Inner {
    settings: SmtpSms,
    host: String,
    port: u16,
    from: Mailbox,
    hello: ClientId,
    tls: Option<TlsParameters>,
}

impl SmtpChannel {
    /// # Errors
    /// The certificates cannot be read, or the sender's address is none.
    pub(super) fn new(settings: &SmtpSms) -> anyhow::Result<Self> {
        let key = |what: &str| format!("sms.smtp {}: {what}", settings.name);
        let (host, port) = settings.server.rsplit_once(':').with_context(|| key("server"))?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let from: Mailbox = settings.from.parse().with_context(|| key("from"))?;
        let tls = match settings.tls {
            SmtpTls::None => None,
            SmtpTls::StartTls | SmtpTls::Implicit => Some(parameters(settings, &host).with_context(|| key("ca"))?),
        };
        let inner = Inner {
            hello: ClientId::Domain(from.email.domain().to_owned()),
            port: port.parse().with_context(|| key("server"))?,
            settings: settings.clone(),
            host,
            from,
            tls,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// SMTP is spoken where it may block.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Inner) -> T + Send + 'static) -> Option<T> {
        let inner = self.inner.clone();
        tokio::task::spawn_blocking(move || work(&inner)).await.ok()
    }
}

fn parameters(settings: &SmtpSms, host: &str) -> anyhow::Result<TlsParameters> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = &settings.ca {
        let named = || path.display().to_string();
        let certificates = Certificate::from_pem(&fs::read(path).with_context(named)?).with_context(named)?;
        builder = builder
            .certificate_store(CertificateStore::None)
            .add_root_certificate(certificates);
    }
    Ok(builder.build_rustls()?)
}

impl Inner {
    fn connect(&self) -> Result<SmtpConnection, String> {
        let explain = |error: lettre::transport::smtp::Error| format!("{}: {}", self.settings.server, told(&error));
        let implicit = self.tls.as_ref().filter(|_| self.settings.tls == SmtpTls::Implicit);
        let server = (&*self.host, self.port);
        let mut connection = SmtpConnection::connect(server, Some(self.settings.timeout), &self.hello, implicit, None)
            .map_err(explain)?;
        if let Some(tls) = self.tls.as_ref().filter(|_| self.settings.tls == SmtpTls::StartTls) {
            connection.starttls(tls, &self.hello).map_err(explain)?;
        }
        Ok(connection)
    }

    fn log_in(&self, connection: &mut SmtpConnection) -> Result<(), String> {
        let Some(user) = &self.settings.username else { return Ok(()) };
        let password = match &self.settings.password_file {
            None => String::new(),
            Some(path) => {
                fs::read_to_string(path).map_err(|error| format!("password_file: {}: {error}", path.display()))?
            }
        };
        let credentials = Credentials::new(user.clone(), password.trim_end_matches(['\r', '\n']).to_owned());
        connection
            .auth(DEFAULT_MECHANISMS, &credentials)
            .map(drop)
            .map_err(|error| format!("{} does not let {user} in: {}", self.settings.server, told(&error)))
    }

    fn mail(&self, message: &Message) -> Result<Mail, String> {
        let to: Mailbox = fill(&self.settings.to, message, "", Place::Line)
            .parse()
            .map_err(|error| format!("the recipient's address is none: {error}"))?;
        Mail::builder()
            .from(self.from.clone())
            .to(to)
            .subject(fill(&self.settings.subject, message, "", Place::Line))
            // The same at every attempt, so that whoever takes the mail can tell a repetition.
            .message_id(Some(format!("<{}@{}>", message.id, self.from.email.domain())))
            .header(ContentType::TEXT_PLAIN)
            .body(message.text.clone())
            .map_err(|error| format!("no mail can be made of it: {error}"))
    }

    fn send(&self, message: &Message) -> Sending {
        let mail = match self.mail(message) {
            Ok(mail) => mail,
            Err(why) => return Sending::Refused(why),
        };
        let ready = self.connect().and_then(|mut connection| {
            self.log_in(&mut connection)?;
            Ok(connection)
        });
        let mut connection = match ready {
            Ok(connection) => connection,
            Err(why) => return Sending::NotSent(why),
        };
        let sending = hand_over(&mut connection, &mail);
        if sending == Sending::Sent {
            // It is out, whatever becomes of the farewell.
            let _ = connection.quit();
        } else {
            connection.abort();
        }
        sending
    }
}

fn hand_over(connection: &mut SmtpConnection, mail: &Mail) -> Sending {
    let envelope = mail.envelope();
    let refused = |error: lettre::transport::smtp::Error| {
        let why = told(&error);
        if error.is_permanent() { Sending::Refused(why) } else { Sending::NotSent(why) }
    };
    if let Err(error) = connection.command(commands::Mail::new(envelope.from().cloned(), Vec::new())) {
        return refused(error);
    }
    for to in envelope.to() {
        if let Err(error) = connection.command(commands::Rcpt::new(to.clone(), Vec::new())) {
            return refused(error);
        }
    }
    if let Err(error) = connection.command(commands::Data) {
        return refused(error);
    }
    match connection.message(&mail.formatted()) {
        Ok(_) => Sending::Sent,
        // A code is the server's word that it did not take it (§4.2.5).
        Err(error) if error.status().is_some() => refused(error),
        Err(error) => Sending::Unknown(told(&error)),
    }
}

/// An error with its causes.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(error.source(), |error| error.source()).fold(error.to_string(), |text, source| {
        if text.contains(&source.to_string()) {
            text
        } else {
            format!("{text}: {source}")
        }
    })
}

#[async_trait]
impl Channel for SmtpChannel {
    fn name(&self) -> &str {
        &self.inner.settings.name
    }

    fn most(&self) -> usize {
        self.inner.settings.max_concurrency
    }

    /// The server greets. Nobody logs in for it: servers count that.
    async fn beat(&self) -> Result<(), String> {
        let greeted = self.blocking(|inner| {
            let mut connection = inner.connect()?;
            let _ = connection.quit();
            Ok(())
        });
        greeted.await.unwrap_or_else(|| Err("the session broke off".to_owned()))
    }

    async fn send(&self, message: &Message) -> Sending {
        let message = message.clone();
        let sent = self.blocking(move |inner| inner.send(&message));
        sent.await
            .unwrap_or_else(|| Sending::Unknown("the session broke off".to_owned()))
    }
}
