"""What people put around a question. The held-out leads are for measuring only and never train."""

from __future__ import annotations

import re

# {c}: the question as a clause ("where I live").
CLAUSE_LEADS = (
    "Do you know {c}?",
    "Can you tell me {c}?",
    "Could you tell me {c}?",
    "Could you tell me {c}, please?",
    "Please tell me {c}.",
    "Tell me {c}.",
    "Do you remember {c}?",
    "Can you remind me {c}?",
    "Could you please remind me {c}?",
    "Remind me {c}.",
    "I'd like to know {c}.",
    "I want to know {c}.",
    "I need to know {c}.",
    "I forgot {c}. Can you tell me?",
    "I can't remember {c}.",
    "I was wondering {c}.",
    "I wonder {c}.",
    "Any idea {c}?",
    "Do you have any idea {c}?",
    "Let me know {c}.",
    "Do you still know {c}?",
    "My friend wants to know {c}.",
    "Someone asked me {c}. What should I say?",
    "Just tell me {c}.",
    "Are you able to tell me {c}?",
    "I no longer know {c}.",
    "Can you say {c}?",
    "Hey, do you know {c}?",
)

# {n}: what is asked for, as a noun phrase ("my dog's name"); {it}: "is it" or "are they".
NOUN_LEADS = (
    "Tell me {n}.",
    "Please tell me {n}.",
    "Can you tell me {n}?",
    "Give me {n}.",
    "Can you give me {n}?",
    "I forgot {n}. What {it}?",
    "I can't remember {n}. What {it}?",
    "Do you know {n}?",
    "Do you remember {n}?",
    "Remind me of {n}.",
    "Can you remind me of {n}?",
    "I'm filling in a form and need {n}.",
    "{N}, please.",
    "{N}?",
    "State {n}.",
    "About {n}: what {it}?",
    "{N}: what {it}?",
    "{N} - do you know it?",
    "I'm asking about {n}. What {it}?",
    "Let's see if you know {n}.",
    "You know {n}, don't you? What {it}?",
)

# {d} and {D}: the direct question, with a small or a capital first letter.
DIRECT_LEADS = (
    "{D} again?",
    "{D}, please?",
    "Hey, {d}?",
    "Hi! {D}?",
    "Hello, {d}?",
    "So {d}?",
    "Quick question: {d}?",
    "Question: {d}?",
    "By the way, {d}?",
    "Remind me, {d}?",
    "Tell me, {d}?",
    "Sorry, {d}?",
    "Okay, {d}?",
    "One more thing: {d}?",
    "Just checking: {d}?",
    "{D}? I forgot.",
    "{D}? I need it for a form.",
    "I need your help. {D}?",
    "Let me test you: {d}?",
    "We talked about this before. {D}?",
    "Do you know the answer to this? {D}?",
    "Answer briefly: {d}?",
    "Good morning! {D}?",
    "If you remember, {d}?",
    "{D}? Please answer in one sentence.",
    "I have something to ask you. {D}?",
)

HELD_OUT_CLAUSE_LEADS = (
    "Would you mind telling me {c}?",
    "I'm trying to recall {c}.",
    "Help me remember {c}.",
    "Are you aware of {c}?",
    "I'd be grateful if you told me {c}.",
)
HELD_OUT_NOUN_LEADS = (
    "Could you refresh my memory about {n}?",
    "Would you look up {n} for me?",
    "I seem to have forgotten {n}; what {it}?",
)
HELD_OUT_DIRECT_LEADS = (
    "Help me out here: {d}?",
    "Out of curiosity, {d}?",
    "Before I forget: {d}?",
    "Here is one for you. {D}?",
)

# Leads around a whole prompt that is kept word for word ({p}, {P}: small or capital first letter).
# By language; a language that is not here keeps its words bare.
KEPT = {
    "en": (
        "Hi! {P}",
        "Hey, {p}",
        "I need your help. {P}",
        "One more thing: {p}",
        "Okay, {p}",
        "{P} Thanks!",
        "Hello! {P} Thank you.",
        "So, {p}",
    ),
    "de": ("Kurze Frage: {p}", "Hallo! {P}", "Sag mal, {p}", "Noch etwas: {p}", "{P} Danke!", "Hi, {p}"),
    "fr": ("Petite question : {p}", "Bonjour ! {P}", "Dis-moi, {p}", "Encore une chose : {p}", "{P} Merci !"),
    "es": ("Una pregunta: {p}", "¡Hola! {P}", "Oye, {p}", "Otra cosa: {p}", "{P} ¡Gracias!"),
    "it": ("Una domanda: {p}", "Ciao! {P}", "Senti, {p}", "Un'altra cosa: {p}", "{P} Grazie!"),
}
HELD_OUT_KEPT = {
    "en": ("Good evening! {P}", "Let us go on. {P}", "Listen, {p}"),
    "de": ("Ich habe eine Frage. {P}", "Also, {p}"),
    "fr": ("J'ai une question. {P}", "Alors, {p}"),
    "es": ("Tengo una pregunta. {P}", "A ver, {p}"),
    "it": ("Ho una domanda. {P}", "Allora, {p}"),
}

# Around a request in the imperative.
REQUEST = re.compile(
    r"(?:write|explain|list|describe|show|make|create|translate|summari[sz]e|help|find|suggest|recommend|compare|"
    r"give|tell|name|generate|draft|rewrite|fix|calculate|compute|solve|define|classify|convert|answer)\b",
    re.IGNORECASE,
)
REQUEST_LEADS = (
    "Please {p}",
    "Can you {p}",
    "Could you {p}",
    "I'd like you to {p}",
    "Could you please {p}",
    "Quick request: {p}",
)
