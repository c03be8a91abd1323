"""How people ask about bodies and beings: health, sleep, family, pets, friends, who does what for them.

See ``frames`` for the notation. All frames of a group have the same answer.
"""

from __future__ import annotations

from allie_desktop.domain.frames import ANIMALS, Group, group

_RELATIVE = (
    "sister|brother|mother|father|mum|mom|dad|wife|husband|partner|girlfriend|boyfriend|son|daughter|grandmother|"
    "grandfather|grandma|grandpa|aunt|uncle|cousin|niece|nephew|best friend"
)

HEALTH: tuple[Group, ...] = (
    group(
        "what {be} {S} allergic to", "what allergies {do} {S} have", "what is {my} allergy",
        "what {do} {S} react badly to", "what gives {me} an allergic reaction", "what triggers {my} allergy",
        "what (must|should) {S} avoid because of an allergy",
        "what {do} {S} have an (allergy|allergic reaction) to", "what allergy {do} {S} (have|suffer from)",
        "what are {my} allergies",
    ),
    group(
        "(what|which) (medication|medicine|tablets|pills) {do} {S} take",
        "what (medication|medicine) {be} {S} on", "which tablets {do} {S} have to take",
        "what (medicine|medication) {have} {S} been prescribed",
    ),
    group(
        "what {do} {S} take for {X}", "what (medicine|medication) {do} {S} (take|use) (for|against) {X}",
        "what helps {me} against {X}",
        X=(
            "(?:my )?(?:migraines?|headaches?|hay fever|asthma|allergy|allergies|back pain|pain|"
            "thyroid|colds?|insomnia|heartburn)"
        ),
    ),
    group(
        "what is {my} (blood type|blood group)", "(what|which) (blood type|blood group) {do} {S} have",
        "what (type|group) is {my} blood", "what kind of blood {do} {S} have", "which blood group {be} {S}",
    ),
    group(
        "who is {my} (doctor|GP|family doctor)", "which doctor {do} {S} (go to|see)",
        "who {do} {S} see when ill", "what is {my} doctor called", "what is {my} doctor's name",
        "what is the name of {my} doctor", "who treats {me} when ill",
    ),
    group(
        "who is {my} dentist", "who looks after {my} teeth", "which dentist {do} {S} (go to|see)",
        "who checks {my} teeth", "what is {my} dentist called", "what is {my} dentist's name",
        "what is the name of {my} dentist",
    ),
    group(
        "when is {my} [dentist|dental|dentist's] appointment",
        "when {do} {S} have to (go to|see) the dentist", "when {be} {S} seeing the dentist",
        "when {be} {S} due at the dentist", "what is the date of {my} dental appointment",
        "when {do} {S} have {own} dental appointment",
    ),
    group(
        "how tall {be} {S}", "what is {my} (height|body height)", "what height {be} {S}",
        ">how many centimetres tall {be} {S}",
    ),
    group(
        "how much {do} {S} weigh", "what is {my} (weight|body weight)", "how heavy {be} {S}",
        "what {do} {S} weigh",
    ),
    group(
        "which hand {do} {S} write with", "what is {my} (dominant|writing) hand",
        "{be} {S} left-handed or right-handed", "{be} {S} a left-hander or a right-hander",
        "which hand {do} {S} use to write",
    ),
    group(
        "(when|what time) {do} {S} go to (bed|sleep)", "when {do} {S} turn in for the night",
        "what is {my} bedtime", "when {do} {S} fall asleep", "what time {do} {S} hit the hay",
    ),
    group(
        "(when|what time) {do} {S} (get up|wake up)", "when {do} {S} get out of bed",
        "what time {do} {S} rise", "what time {do} {S} start {own} day",
    ),
    group(
        "how many hours {do} {S} sleep", "how much sleep {do} {S} get", "how long {do} {S} sleep",
        "for how many hours {be} {S} asleep at night",
    ),
    group(
        "what {be} {S} (afraid|scared|frightened|terrified) of", "what is {my} (phobia|fear|biggest fear)",
        "what {do} {S} fear", "what (frightens|scares) {me}", "what {do} {S} have a phobia of",
        "what makes {me} afraid",
    ),
)  # fmt: skip

FAMILY: tuple[Group, ...] = (
    group(
        "what is {T} called", "what is {T}'s name", "what is the name of {T}",
        "what name does {T} answer to", "which name does {T} respond to", "what name did {S} give {T}",
        "what {do} {S} call {T}", "what did {S} name {T}", T=rf"(?:my|our) (?:{ANIMALS})",
    ),
    group(
        "who is {my} {X}", "what is {my} {X} called", "what is {my} {X}'s name",
        "what is the name of {my} {X}",
         X=_RELATIVE,
    ),
    group(
        "who is {my} (wife|husband|spouse)", "who {be} {S} married to", "who did {S} marry",
        "what is the person called that {S} married",
    ),
    group(
        "how many siblings {do} {S} have", "how many brothers and sisters {do} {S} have",
        "how many (siblings|brothers and sisters) {have} {S} got",
    ),
    group(
        "how many (children|kids) {do} {S} have", "how many sons and daughters {do} {S} have",
        "how many (children|kids) {have} {S} got",
    ),
    group(
        "when did {S} get married", "when did {S} (marry|wed)", "when did {S} tie the knot",
        "when was {my} wedding", "on (what|which) day did {S} get married", "on what date did {S} marry",
        "what was {my} wedding date",
    ),
    group(
        "where did {S} get married", "where did {S} marry", "where was {my} wedding",
        "where did {my} wedding take place", "where did {S} tie the knot",
    ),
    group(
        "when is {my} wedding", "when {be} {S} getting married", "when {do} {S} tie the knot",
        "on what date is {my} wedding", "when will {S} (marry|get married)",
    ),
    group(
        "when is {my} [wedding anniversary|anniversary]",
        "when {do} {S} celebrate {own} [wedding anniversary|anniversary]",
        "what (date|day) is {my} wedding anniversary", "what is the date of {my} wedding anniversary",
        ">on which day {do} {S} celebrate {own} marriage",
    ),
    group(
        "where did {S} meet {X}", "where did {S} get to know {X}", "where did {S} first meet {X}",
        "where did {X} and {S} meet", "where did {X} and {S} get to know each other",
        X=r"(?:my|her|his|our|their) [\w ]+|[A-Z]\w+",
    ),
    group(
        "how did {S} meet {X}", "how did {S} get to know {X}", "how did {X} and {S} meet",
        "how did {X} and {S} get to know each other", X=r"(?:my|her|his|our|their) [\w ]+|[A-Z]\w+",
    ),
    group(
        "how long {have} {S} known {X}", "since when {have} {S} known {X}",
        "for how many years {have} {S} known {X}", "how long ago did {S} meet {X}",
        X=r"(?:my|her|his|our|their) [\w ]+|[A-Z]\w+",
    ),
    group(
        "who is {my} landlord", "who {do} {S} rent from", "who owns {my} [flat|apartment]",
        "who {do} {S} pay {own} rent to", "what is {my} landlord's name", "what is {my} landlord called",
    ),
    group(
        "who is {my} [neighbour|neighbor|next-door neighbour]", "who lives next door to {me}",
        "what is {my} [neighbour|neighbor] called", "what is {my} [neighbour|neighbor]'s name",
        "what is the name of {my} [neighbour|neighbor]", ">what is the person next door to {me} called",
    ),
    group(
        "who is {my} [hairdresser|barber]", "who cuts {my} hair", "who does {my} hair",
        "which hairdresser {do} {S} go to", "what is {my} [hairdresser|barber] called",
        "what is {my} [hairdresser|barber]'s name", "what is the name of {my} [hairdresser|barber]",
    ),
    group(
        "who is {my} vet", "which vet {do} {S} go to", "what is {my} vet called", "what is {my} vet's name",
        "what is the name of {my} vet", ">which vet treats {my} animals",
    ),
    group(
        "who is {my} (babysitter|childminder)", "who (looks after|minds|babysits) {my} [kids|children]",
        "what is {my} babysitter called", "what is {my} babysitter's name",
    ),
    group(
        "who is {my} (accountant|tax adviser)", "who does {my} taxes", "who prepares {my} tax return",
        "what is {my} accountant called", "what is {my} accountant's name",
    ),
    group(
        "who is {my} emergency contact",
        "who should be (called|contacted|informed) if something happens to {me}",
        "who should be (called|contacted) in an emergency", "who is to be called if {S} {have} an accident",
        "whose number should be rung if {S} {have} an accident",
    ),
    group(
        "what is {my} nickname", "what do people call {me}", "what do {my} friends call {me}",
        "what nickname {do} {S} have", ">what {be} {S} called by friends",
    ),
    group(
        "what is {my} middle name", "what middle name {do} {S} have", "what is {my} second given name",
    ),
    group(
        "what is {my} (surname|last name|family name)", "what (surname|family name) {do} {S} have",
    ),
    group(
        "what (was|is) {my} maiden name", "what was {my} (birth name|surname before marriage)",
        "what {was} {S} called before marriage", "which surname did {S} have before getting married",
    ),
    group(
        "what breed is {my} {X}", "what (kind|sort|breed) of {X} {do} {S} have",
        "what is the breed of {my} {X}", "what is {my} {X}'s breed", "what (kind|sort) of {X} is {my} {X}",
        X="dog|cat|horse|pony|rabbit|puppy|kitten",
    ),
    group(
        "what does {T} eat", "what {do} {S} feed {T}", "what food does {T} get",
        "what {do} {S} give {T} to eat", "what {do} {S} put in the bowl for {T}",
        T=rf"(?:my|our) (?:{ANIMALS})",
    ),
    group(
        "where does {T} sleep", "where does {T} spend the night", "where is {T}'s bed",
        "where does {T} lie down at night", T=rf"(?:my|our) (?:{ANIMALS})",
    ),
    group(
        "when does {T} end", "when {is} {T} over", "when does {T} finish", "when does {T} come to an end",
        "what time does {T} end", "until when does {T} last",
        T=(
            r"my (?:[\w-]+ )?(?:shift|class|course|lesson|training|school|contract|lease|holiday|"
            "probation|subscription)"
        ),
    ),
    group(
        "when does {T} start", "when does {T} begin", "what time does {T} (start|begin)",
        T=r"my (?:[\w-]+ )?(?:shift|class|course|lesson|training|school|lecture|match)",
    ),
    group(
        "what was {my} first job", "what did {S} first work as", "what job did {S} have first",
        "what job did {S} do first", "what was the first job {S} had",
    ),
    group(
        "where did {S} get {T} [from|]", "where did {S} adopt {T} [from|]", "where does {T} come from",
        T=rf"(?:my|our|her|his) (?:{ANIMALS})",
    ),
)  # fmt: skip

PEOPLE: tuple[Group, ...] = HEALTH + FAMILY
