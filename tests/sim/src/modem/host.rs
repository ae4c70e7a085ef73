//! The port of the emulated modem: TCP or a pseudo terminal, on a thread.

use super::{
    device::{Device, Sent, report},
    fault::{Fault, Faults},
};
use megamind_sms::pdu::{
    Address, Deliver, Frame, Reference, ServiceTime, Status, alphabet::Language, compose::Composer,
};
use rustix::fs::OFlags;
use serialport::{SerialPort, TTYPort};
use std::{
    fs::File,
    io::{self, ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// How often the port looks for something to say while nothing is typed.
const BEAT: Duration = Duration::from_millis(2);

/// Whoever starts programs holds this meanwhile: for a moment, a terminal that is being opened would be theirs too, lock
/// and all, and stay so.
pub fn starting() -> MutexGuard<'static, ()> {
    static STARTING: Mutex<()> = Mutex::new(());
    STARTING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A modem at work. It ends when this is dropped.
#[derive(Debug)]
pub struct Emulator {
    shared: Arc<Shared>,
    address: Option<SocketAddr>,
    link: Option<PathBuf>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    device: Mutex<Device>,
    /// Whether the modem is plugged in.
    present: AtomicBool,
    stopping: AtomicBool,
    next_reference: AtomicU8,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            device: Mutex::new(Device::new()),
            present: AtomicBool::new(true),
            stopping: AtomicBool::new(false),
            next_reference: AtomicU8::new(0),
        })
    }

    fn device(&self) -> MutexGuard<'_, Device> {
        self.device.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_present(&self) -> bool {
        self.present.load(Ordering::Relaxed) && !self.stopping.load(Ordering::Relaxed)
    }
}

impl Emulator {
    /// A modem on a TCP port of the loopback interface.
    pub fn tcp() -> io::Result<Self> {
        Self::listen((Ipv4Addr::LOCALHOST, 0).into())
    }

    /// A modem on a TCP port. One connection at a time, as a serial port has one owner.
    pub fn listen(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Shared::new();
        let thread = spawn(&shared, move |shared| serve_tcp(&listener, shared))?;
        Ok(Self { shared, address: Some(address), link: None, thread: Some(thread) })
    }

    /// A modem on a pseudo terminal. `link` is a symbolic link to it, which changes when the modem
    /// is plugged out and in, as the names in `/dev/serial/by-id` do.
    pub fn pty(link: &Path) -> io::Result<Self> {
        let shared = Shared::new();
        // The first one here, so that the link is there when this returns.
        let first = Terminal::open(link)?;
        let owned = link.to_owned();
        let thread = spawn(&shared, move |shared| serve_pty(first, &owned, shared))?;
        Ok(Self { shared, address: None, link: Some(link.to_owned()), thread: Some(thread) })
    }

    /// Where it listens, if it is on TCP.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The link to its device, if it is on a pseudo terminal.
    pub fn link(&self) -> Option<&Path> {
        self.link.as_deref()
    }

    fn device(&self) -> MutexGuard<'_, Device> {
        self.shared.device()
    }

    /// Lets somebody send a text, in as many parts as it takes. `false` when `from` is no number
    /// and no name.
    pub fn deliver(&self, from: &str, text: &str) -> bool {
        let pdus = self.pdus(from, text);
        let mut device = self.device();
        for pdu in &pdus {
            device.deliver(pdu.clone());
        }
        !pdus.is_empty()
    }

    /// The PDUs of a text from somebody, to be handed over in any order and number.
    pub fn pdus(&self, from: &str, text: &str) -> Vec<String> {
        let originator = Address::number(from).or_else(|_| Address::alphanumeric(from));
        let Ok(originator) = originator else {
            return Vec::new();
        };
        let now = jiff::Timestamp::now();
        let timestamp = ServiceTime::at(now, 0).unwrap_or(ServiceTime([0; 7]));
        let reference = self.shared.next_reference.fetch_add(1, Ordering::Relaxed);
        let composer =
            Composer { languages: &[] as &[Language], reference: Reference::Short(reference), max_parts: u8::MAX };
        composer
            .split(text)
            .unwrap_or_default()
            .into_iter()
            .map(|data| Frame::new(Deliver::new(originator.clone(), timestamp, data)).to_hex())
            .collect()
    }

    /// Hands over a PDU in hexadecimal, whatever it is.
    pub fn deliver_pdu(&self, pdu: &str) {
        self.device().deliver(pdu.to_owned());
    }

    /// Sends a delivery report for the newest message with this reference. `false` when there is
    /// none.
    pub fn report(&self, reference: u8, status: Status) -> bool {
        let mut device = self.device();
        let found = device.sent.iter().rfind(|s| s.reference == reference);
        let Some(pdu) = found.map(|sent| report(reference, &sent.submit, status)) else {
            return false;
        };
        device.deliver(pdu);
        true
    }

    /// Whether reports come by themselves as soon as a message that wants one is sent.
    pub fn set_reports(&self, reports: bool) {
        self.device().reports = reports;
    }

    /// Says an unsolicited code.
    pub fn urc(&self, line: &str) {
        self.device().announce(line);
    }

    /// Makes something go wrong.
    pub fn fault(&self, fault: Fault) {
        self.device().faults.set(fault);
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.device().faults = Faults::default();
    }

    /// Locks the SIM with a PIN.
    pub fn lock_sim(&self, pin: &str) {
        let mut device = self.device();
        device.sim.pin = Some(pin.to_owned());
        device.sim.locked = true;
    }

    /// How many PINs were wrong since the last right one.
    pub fn wrong_pins(&self) -> u8 {
        self.device().sim.failures
    }

    /// Changes the registration (`<stat>` of `+CREG`) and announces it.
    pub fn set_registration(&self, stat: u8) {
        let mut device = self.device();
        device.registration = stat;
        if device.settings.registration_codes > 0 {
            device.announce(&format!("+CREG: {stat}"));
        }
    }

    /// Changes how many messages a memory holds.
    pub fn set_capacity(&self, memory: &str, capacity: u16) {
        if let Some(memory) = self.device().memories.get_mut(memory) {
            memory.capacity = capacity;
        }
    }

    /// Sets the answer to a USSD request.
    pub fn set_ussd(&self, request: &str, answer: &str) {
        let mut device = self.device();
        device.ussd.insert(request.to_owned(), answer.to_owned());
    }

    /// What was sent so far.
    pub fn sent(&self) -> Vec<Sent> {
        self.device().sent.clone()
    }

    /// Messages in the modem's memories.
    pub fn stored(&self) -> usize {
        self.device().memories.values().map(super::storage::Memory::used).sum()
    }

    /// Messages that the network still has for this modem.
    pub fn waiting(&self) -> usize {
        self.device().waiting()
    }

    /// How often the modem was restarted.
    pub fn restarts(&self) -> u32 {
        self.device().restarts
    }

    /// The commands that it was given, the newest last.
    pub fn log(&self) -> Vec<String> {
        self.device().log.iter().cloned().collect()
    }

    /// Pulls the plug: the port vanishes under whoever has it open.
    pub fn unplug(&self) {
        self.shared.present.store(false, Ordering::Relaxed);
    }

    /// Plugs the modem in again. It has restarted, and on a pseudo terminal it has another name.
    pub fn plug(&self) {
        self.device().restart();
        self.device().vanished = false;
        self.shared.present.store(true, Ordering::Relaxed);
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic has been printed already; there is nobody to tell.
            let _ = thread.join();
        }
        if let Some(link) = &self.link {
            let _ = std::fs::remove_file(link);
        }
    }
}

fn spawn(shared: &Arc<Shared>, serve: impl FnOnce(&Shared) + Send + 'static) -> io::Result<JoinHandle<()>> {
    let shared = Arc::clone(shared);
    std::thread::Builder::new()
        .name("emulated modem".to_owned())
        .spawn(move || serve(&shared))
}

fn serve_tcp(listener: &TcpListener, shared: &Shared) {
    while !shared.stopping.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((mut stream, _)) => {
                let ready = stream
                    .set_nonblocking(false)
                    .and_then(|()| stream.set_nodelay(true))
                    .and_then(|()| stream.set_read_timeout(Some(BEAT)));
                if ready.is_ok() && shared.is_present() {
                    serve(&mut stream, shared);
                }
            }
            Err(_) => std::thread::sleep(BEAT),
        }
    }
}

/// A pseudo terminal. The slave is held open: otherwise the master ends whenever a client closes.
/// It is held as a file, without the lock that clients want to have.
struct Terminal {
    master: TTYPort,
    _slave: File,
}

impl Terminal {
    fn open(link: &Path) -> io::Result<Self> {
        let no_program_starts = starting();
        let (original, mut slave) = TTYPort::pair()?;
        // The copy, unlike the original, is closed in programs that are started from here: one of them may be the very
        // client that has to notice that the modem was pulled out.
        let mut master = original.try_clone_native()?;
        drop(original);
        slave.set_exclusive(false)?;
        master.set_timeout(BEAT)?;
        let name = slave.name().ok_or(ErrorKind::NotFound)?;
        let held = File::options()
            .read(true)
            .write(true)
            .custom_flags(OFlags::NOCTTY.bits().cast_signed())
            .open(&name)?;
        drop(slave);
        drop(no_program_starts);
        match std::fs::remove_file(link) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => std::os::unix::fs::symlink(name, link)?,
        }
        Ok(Self { master, _slave: held })
    }
}

fn serve_pty(first: Terminal, link: &Path, shared: &Shared) {
    let mut terminal = Some(first);
    while !shared.stopping.load(Ordering::Relaxed) {
        if let Some(mut plugged) = terminal.take() {
            serve(&mut plugged.master, shared);
            // The name goes with the device, whose number the next terminal of anybody's may get.
            let _ = std::fs::remove_file(link);
        } else if shared.is_present() {
            terminal = Terminal::open(link).ok();
        }
        std::thread::sleep(BEAT);
    }
}

/// Moves bytes until the other side ends or the modem vanishes.
fn serve(port: &mut (impl Read + Write), shared: &Shared) {
    let mut buffer = [0; 4096];
    shared.device().opened();
    while shared.is_present() {
        let heard = match port.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => count,
            Err(error) if is_wait(&error) => 0,
            Err(_) => return,
        };
        let mut device = shared.device();
        device.input(&buffer[..heard]);
        let out = device.take_output();
        if std::mem::take(&mut device.vanished) {
            device.restart();
            device.vanished = false;
            return;
        }
        drop(device);
        if port.write_all(&out).is_err() {
            return;
        }
    }
}

fn is_wait(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
