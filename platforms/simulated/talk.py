"""What people say on the simulated calls: transcripts and summaries."""

import random
from dataclasses import dataclass
from typing import Literal

Side = Literal["caller", "receiver"]


@dataclass(frozen=True, slots=True)
class Line:
    """What one side said, from when to when (seconds of the call)."""

    side: Side
    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Topic:
    """What a call is about: the customer's words, our agent's, and the summary's."""

    customer: tuple[str, ...]
    agent: tuple[str, ...]
    summary: str


GREETINGS = ("Good morning, how can I help you?", "Hello, you are through to the service desk.")
THANKS = ("Thank you very much, goodbye.", "Great, thanks. Have a nice day.")

TOPICS = (
    Topic(
        (
            "I would like a refund for my last order.",
            "The parcel arrived broken.",
            "I am still waiting for my money back.",
        ),
        (
            "I am sorry to hear that.",
            "I have started the refund now.",
            "It takes three to five working days.",
        ),
        "The customer asked for a refund of a damaged order; the agent started it.",
    ),
    Topic(
        (
            "I want to cancel my subscription.",
            "It has become too expensive.",
            "Your competitor is half the price.",
        ),
        (
            "May I ask why you want to leave?",
            "I can offer you two months free.",
            "The cancellation is noted.",
        ),
        "The customer wanted to cancel the subscription because of the price.",
    ),
    Topic(
        (
            "There is a mistake on my invoice.",
            "I was charged twice in March.",
            "Can you send a corrected one?",
        ),
        (
            "Let me look at your account.",
            "You are right, that is a double charge.",
            "A new invoice is on its way.",
        ),
        "The customer reported a double charge; a corrected invoice was sent.",
    ),
    Topic(
        (
            "The line has been down since yesterday.",
            "This is urgent, we cannot work.",
            "Could a technician come today?",
        ),
        (
            "I will restart the router from here.",
            "I can see packet loss.",
            "A technician will call you back.",
        ),
        "The customer reported an outage; a technician was booked.",
    ),
    Topic(
        ("I am interested in the larger plan.", "How much would ten seats cost?", "Please send me an offer."),
        ("With pleasure.", "Ten seats come with a discount.", "I will e-mail the offer this afternoon."),
        "The customer asked for an offer for ten seats on the larger plan.",
    ),
    Topic(
        (
            "J'appelle au sujet de ma commande.",
            "Le café est arrivé froid, c'est inadmissible !",
            "Merci à vous.",
        ),
        ("Bonjour, je vous écoute.", "Je vous présente nos excuses.", "Je vous envoie un bon d'achat."),
        "Le client se plaint d'une livraison ; un bon d'achat a été envoyé.",
    ),
)


def conversation(chance: random.Random, duration: int, ours: Side) -> tuple[Topic, tuple[Line, ...]]:
    """A talk that fits the call, and its topic; `ours` is the side on which we are."""
    topic = chance.choice(TOPICS)
    theirs: Side = "caller" if ours == "receiver" else "receiver"
    turns = [(ours, chance.choice(GREETINGS))]
    for theirs_said, we_said in zip(topic.customer, topic.agent, strict=True):
        turns += [(theirs, theirs_said), (ours, we_said)]
    turns.append((theirs, chance.choice(THANKS)))
    length = duration / len(turns)
    return topic, tuple(
        Line(side, text, round(place * length, 2), round((place + 0.9) * length, 2))
        for place, (side, text) in enumerate(turns)
    )
