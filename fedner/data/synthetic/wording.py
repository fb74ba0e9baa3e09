"""The invented words behind the synthetic notes: names, drugs, places, and four house styles of sentences.

Every name is made up here, mostly by joining syllables; any likeness to a person, product or place is chance. A slot in
capitals becomes an entity, a slot in small letters becomes words without a tag. In a form, `^` ends the words that
stand before the entity and do not belong to it, such as a title.
"""

from collections.abc import Mapping

ENTITY_TYPES = ("PATIENT", "DRUG", "DOSE", "DATE", "HOSPITAL")

INSTITUTIONS = (
    "northquay",
    "alderbrook",
    "stillwater",
    "greyharbour",
    "lindenfeld",
    "oxmoor",
    "sandreach",
    "copperhill",
    "windermark",
    "fernhollow",
    "kestrelton",
    "mistlevale",
    "otterford",
    "quarrybank",
    "thornlea",
    "yarrowdale",
)

# May, Hope, Will and their like are ordinary words elsewhere in the notes
GIVEN_NAMES = (
    *("April", "Grace", "Hope", "Iris", "Mark", "May", "Rose", "Will"),
    *("Adelin", "Bettany", "Corvin", "Dariel", "Edmira", "Falko", "Gerlind", "Havel", "Ilmari", "Jorvic", "Kaspira"),
    *("Lunetta", "Mirelda", "Nestorio", "Ottilda", "Perrin", "Quillan", "Rosmunda", "Sindre", "Tovin", "Ulvira"),
    *("Vesna", "Wendelin", "Xandor", "Yselda", "Zoltana"),
)
SURNAMES = tuple(
    start + end
    for start in ("Brack", "Corn", "Dun", "Elm", "Fal", "Gar", "Hol", "Kel", "Mar", "Pen", "Rav", "Tal")
    for end in ("wick", "sten", "ovic", "aldi", "berger")
)
# towns share some of their names with surnames: in one note a patient, in another an address
TOWNS = tuple(
    start + end
    for start in ("Brack", "Elm", "Hol", "Mar", "Oster", "Sil", "Ulver", "Wim")
    for end in ("wick", "mere", "combe")
)
# iron and charcoal are also what bed rails and drawings are made of
DRUGS = (
    *("Iron", "Charcoal"),
    *(
        start + end
        for start in (
            "Abro",
            "Celti",
            "Dova",
            "Fexu",
            "Gliro",
            "Lomi",
            "Nurba",
            "Pexi",
            "Sorva",
            "Tyma",
            "Velo",
            "Zuri",
        )
        for end in ("lexan", "quine", "vort", "nadol")
    ),
)
MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)

PATIENT_FORMS = (
    "{given} {surname}",
    "{surname} , {given}",
    "{initial}. {surname}",
    "Mr ^ {surname}",
    "Mrs ^ {given} {surname}",
)
DATE_FORMS = (
    "{day} {month} {year}",
    "{year}-{month_number:02d}-{day:02d}",
    "{day:02d}.{month_number:02d}.{year}",
    "{month} {day}",
    "{month} {day} , {year}",
    "{day} {month}",
)
DOSE_FORMS = (
    "{amount} mg",
    "{amount}mg",
    "{amount} ml",
    "{amount} micrograms",
    "{count} tablets",
    "{count} drops",
    "{amount} mg / day",
    "half a tablet",
)
HOSPITAL_FORMS = (
    "{town} General Hospital",
    "{town} Infirmary",
    "{town} Clinic",
    "St {given} 's Hospital",
    "{town}",
    "the ^ {town} Children 's Clinic",
)
DURATIONS = ("two days", "10 minutes", "three weeks", "half an hour", "5 days", "a month")

HOUSE_STYLES: Mapping[str, tuple[str, ...]] = {
    "narrative": (
        "{PATIENT} was admitted to {HOSPITAL} on {DATE} .",
        "On {DATE} {PATIENT} was seen in the outpatient department .",
        "Treatment with {DRUG} {DOSE} was started and well tolerated .",
        "{DRUG} was stopped because of dizziness and replaced by {DRUG} {DOSE} .",
        "The family of {PATIENT} was informed by Dr {staff} .",
        "Transfer from {HOSPITAL} took place in the night of {DATE} .",
        "Since {DATE} the patient has taken {DOSE} of {DRUG} every morning .",
        "{PATIENT} asked Dr {staff} whether {DRUG} could be reduced to {DOSE} .",
        "{HOSPITAL} will call back about the bed in room {number} .",
        "The next review is planned for {DATE} .",
        "The evening round gave {DOSE} too late .",
    ),
    "terse": (
        "Pt {PATIENT} , adm {DATE} .",
        "Rx {DRUG} {DOSE} bd .",
        "{DRUG} {DOSE} po , {DRUG} {DOSE} iv .",
        "d/c {DATE} to {HOSPITAL} .",
        "Cont {DRUG} , recheck {DATE} .",
        "Hx : {HOSPITAL} {DATE} .",
        "{PATIENT} : no change .",
        "Stop {DRUG} ; start {DRUG} {DOSE} .",
        "d/w Dr {staff} , {HOSPITAL} .",
        "{DATE} : {PATIENT} stable , obs {number} / {number} .",
        "Given {DOSE} stat .",
    ),
    "form": (
        "Name : {PATIENT}",
        "Date of visit : {DATE}",
        "Referred by : {HOSPITAL}",
        "Medication : {DRUG} Strength : {DOSE}",
        "Name : {PATIENT} Visit : {DATE} Room : {number}",
        "Allergy : {DRUG}",
        "Dose given : {DOSE} Route : oral",
        "Discharged to : {HOSPITAL} Date : {DATE}",
        "Physician : Dr {staff} Patient : {PATIENT}",
        "Current : {DRUG} {DOSE} / {DRUG} {DOSE}",
        "Last seen at : {HOSPITAL} by : Dr {staff}",
    ),
    "letter": (
        "Dear Dr {staff} , thank you for referring {PATIENT} to us .",
        "I met {PATIENT} at {HOSPITAL} on {DATE} and we spoke for {duration} .",
        "May I ask you to continue {DRUG} at {DOSE} ?",
        "She tells me that {DRUG} helped her more than {DRUG} did .",
        "We hope to see {PATIENT} again on {DATE} .",
        "Please send the films to {HOSPITAL} , attention Dr {staff} .",
        "The pharmacist found only {DOSE} in stock .",
        "My letter of {DATE} crossed with yours .",
        "Kindly arrange a bed at {HOSPITAL} for {PATIENT} .",
        "I have raised {DRUG} from {DOSE} to {DOSE} over {duration} .",
        "Dr {staff} of {HOSPITAL} sends his regards .",
    ),
}

PLAIN_SENTENCES = (
    "The patient slept well and had no complaints .",
    "Dr {staff} may move the appointment to the spring .",
    "Blood pressure was {number} / {number} and the pulse was regular .",
    "The bus to {town} Street takes {duration} .",
    "She lives in {town} with two sisters .",
    "In the hope of rain the garden of the rose society was left alone .",
    "A march of {number} metres along the corridor went without pain .",
    "Room {number} needs a new iron bed rail .",
    "The charcoal drawing of the art group hangs near the lift .",
    "A grace period of {duration} applies to the invoice .",
    "The hospital newsletter will mark the jubilee .",
    "Sodium was {number} and potassium was normal .",
    "Dr {staff} and Dr {staff} will rest for {duration} .",
    "{number} of {number} questions were answered .",
    # the same frames as above around what is no patient, medicine, dose, date or hospital
    "{given} {surname} , her neighbour , was informed by Dr {staff} .",
    "I met {given} {surname} from the housing office on the stairs .",
    "{surname} : union representative , no change .",
    "Mrs {surname} teaches the music group , {given} plays the piano .",
    "Name : {given} {surname} Relation : cousin",
    "Printer {drug} was stopped and replaced by printer {drug} .",
    "Cont project {drug} , recheck budget .",
    "Drank {amount} ml of tea and {amount} ml of water .",
    "The parcel of {amount} mg of gold leaf was given to the jeweller .",
    "Version : {month} {year} Form : {number}",
    "The {month} issue was planned for {number} pages .",
    "Transfer from {town} General Store took {duration} .",
    "The {town} Clinic Street bridge will be closed .",
    "Referred by : {town} housing office",
)
