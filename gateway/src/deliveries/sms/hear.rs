//! From a message that came to its answer.

use megamind_sms::{
    grammar::{Command, Kind, ParseError, Request, Trouble, parse, refused, shorten},
    identity::{Answered, Enrolment, Guard, Proof, Seen, Verdict, normalised},
    modem::Received,
};

use super::{
    act::Done,
    care::Care,
    db::{Out, Settled},
    now,
    worker::Worker,
};

/// A changing command that was sent so long ago is not carried out any more, in milliseconds.
const OLD: i64 = 2 * 60 * 60 * 1000;

/// What becomes of a message.
#[derive(Default)]
struct Heard {
    outcome: &'static str,
    answer: Option<String>,
    enrolment: Option<Enrolment>,
    guard: Option<(String, Guard)>,
}

impl Heard {
    fn of(outcome: &'static str, answer: Option<String>) -> Self {
        Self { outcome, answer, ..Self::default() }
    }
}

impl Worker {
    /// Hears a message: carries it out, and is done with it and its answer in one commit. Gives it back where what
    /// became of it is not known yet.
    pub(super) async fn hear(&self, message: Received, care: &mut Care) -> anyhow::Result<Option<Received>> {
        let number = normalised(&message.from.to_string(), self.shared.country);
        let heard = match &number {
            _ if care.arrived(&message.modem, &message.text) => Heard::of("probe", None),
            None => Heard::of("unregistered", None),
            Some(number) => match self.understood(number, &message).await? {
                Some(heard) => heard,
                None => return Ok(Some(message)),
            },
        };
        let answer = heard.answer.zip(number).map(|(text, number)| Out {
            number,
            text,
            template: self.shared.templates.number_of(Kind::Answer, "en"),
            assignment: false,
            report: false,
            modem: Some(message.modem.as_str().to_owned()),
            call: None,
            expires: now() + self.shared.expiry.answer,
        });
        let settled = Settled {
            parts: &message.parts,
            modem: &message.modem,
            outcome: heard.outcome,
            enrolment: heard.enrolment.as_ref(),
            guard: heard.guard.as_ref().map(|(number, guard)| (number.as_str(), guard)),
            answer,
        };
        self.shared.db.settle(&settled, now())?;
        if let Some(enrolment) = heard.enrolment {
            self.shared.enrolled().insert(enrolment.pilot.clone(), enrolment);
        }
        self.shared.metrics.count(message.modem.as_str(), "in", heard.outcome);
        tracing::info!(modem = %message.modem, outcome = heard.outcome, "message");
        Ok(None)
    }

    /// `None` where it is to be heard again.
    async fn understood(&self, number: &str, message: &Received) -> anyhow::Result<Option<Heard>> {
        let Some(pilot) = self.enrolled(number)? else {
            return Ok(Some(Heard::of("unregistered", None)));
        };
        if !message.missing.is_empty() {
            return Ok(Some(Heard::of("incomplete", None)));
        }
        let mut guard = self.shared.db.guard(number)?;
        if guard.is_locked(now()) {
            return Ok(Some(Heard::of("locked", None)));
        }
        let requests = match parse(&message.text) {
            Ok(requests) => requests,
            Err(error) => {
                let (outcome, text) = match error {
                    ParseError::NotACommand => {
                        let help = self.shared.templates.plain(Kind::Help, &pilot.language, pilot.ucs2);
                        ("no_command", shorten("E HELP", &help, ""))
                    }
                    ParseError::TooLong => ("too_long", "E FORM".to_owned()),
                    ParseError::Alphabet => ("alphabet", "E FORM".to_owned()),
                    ParseError::Malformed => ("malformed", "E FORM".to_owned()),
                };
                let answer = guard.may_answer(now()).then_some(text);
                return Ok(Some(Heard { guard: Some((number.to_owned(), guard)), ..Heard::of(outcome, answer) }));
            }
        };
        if let Some(known) = requests.iter().find_map(|request| pilot.repeated(request)) {
            return Ok(Some(Heard::of("repeated", known.reply.clone())));
        }
        let proved = requests
            .iter()
            .find_map(|request| pilot.verify(&self.shared.city, number, request).map(|proof| (request, proof)));
        let Some((request, proof)) = proved else {
            let verdict = guard.wrong(now());
            let seq = requests.first().map_or(0, |request| request.seq);
            let answer = (verdict == Verdict::Answer).then(|| refused(seq, Trouble::Code));
            return Ok(Some(Heard { guard: Some((number.to_owned(), guard)), ..Heard::of("wrong_code", answer) }));
        };
        self.carried(pilot, request, proof, message).await
    }

    async fn carried(
        &self,
        mut pilot: Enrolment,
        request: &Request,
        proof: Proof,
        message: &Received,
    ) -> anyhow::Result<Option<Heard>> {
        match pilot.seen(request) {
            Seen::Again(reply) => return Ok(Some(Heard::of("repeated", reply))),
            Seen::Other => return Ok(Some(Heard::of("seq", Some(refused(request.seq, Trouble::Seq))))),
            Seen::Never => {}
        }
        let sent_at = message.timestamp.timestamp().map(jiff::Timestamp::as_millisecond);
        let is_old = sent_at.is_some_and(|at| now() - at > OLD);
        let by_hand = matches!(proof, Proof::Hand { .. });
        let done = if is_old && request.command.is_change() && !request.command.is_fact() {
            Done::refused("old", request.seq, Trouble::Old)
        } else if by_hand && matches!(request.command, Command::Delivered { pin: None, .. }) {
            Done::refused("no_pin", request.seq, Trouble::Pin)
        } else {
            match self.act(&mut pilot, request, sent_at.unwrap_or_else(now)).await {
                Some(done) => done,
                None => return Ok(None),
            }
        };
        pilot.note(
            proof,
            Answered {
                seq: request.seq,
                body: request.body.clone(),
                code: request.code.clone(),
                reply: done.reply.clone(),
                at: now(),
                undo: done.undo,
            },
        );
        Ok(Some(Heard { enrolment: Some(pilot), ..Heard::of(done.outcome, done.reply) }))
    }

    /// Whose number it is. A number that the city does not know as the pilot's any more ends the enrolment.
    fn enrolled(&self, number: &str) -> anyhow::Result<Option<Enrolment>> {
        let found = self
            .shared
            .enrolled()
            .values()
            .find(|one| one.numbers.iter().any(|own| own == number))
            .cloned();
        let Some(enrolment) = found else { return Ok(None) };
        let published = self.handle.published();
        let phone = published
            .city
            .pilot_called(&enrolment.pilot)
            .and_then(|pilot| pilot.profile().phone.as_deref());
        let phone = phone.and_then(|phone| normalised(phone, self.shared.country));
        if phone.is_some_and(|phone| enrolment.numbers.contains(&phone)) {
            return Ok(Some(enrolment));
        }
        tracing::warn!(pilot = enrolment.pilot, "the pilot's number changed: the enrolment ends");
        self.shared.db.end(&enrolment.pilot)?;
        self.shared.enrolled().remove(&enrolment.pilot);
        Ok(None)
    }
}
